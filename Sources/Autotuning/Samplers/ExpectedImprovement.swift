/// How much lower than the best value so far a normal variable is to be, in the mean: E[max(0, best − Y)].
///
///     EI = σ (φ(z) + z Φ(z)),   z = (best − μ) / σ
///
/// Source: Jones, Schonlau and Welch (J. Global Optimization 13, 1998).
package enum ExpectedImprovement {
    /// ln EI, which still tells points apart where EI itself would be 0: there φ(z) / z² takes the place of the bracket.
    package static func logarithmic(mean: Double, deviation: Double, best: Double) -> Double {
        let z = (best - mean) / deviation
        if z < -20 { return logarithm(deviation) - z * z / 2 - logarithm(z * z / StandardNormal.density(0)) }
        return logarithm(deviation * (StandardNormal.density(z) + z * StandardNormal.cumulative(z)))
    }
}
