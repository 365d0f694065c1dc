#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// T(p) = P(X ≥ k) for X ~ Binomial(n, p), as a function of p, and its inverse. In logarithms throughout, so that neither tiny tails nor
/// large n leave the range of a Double.
///
/// T(p) = b(k) · S, where b is the probability of exactly k successes and S = 1 + r_k + r_k r_(k+1) + … with
/// r_i = (n − i) / (i + 1) · p / (1 − p): only positive terms, so nothing cancels. Also d ln T / d ln p = k / S, because T is the
/// distribution function of Beta(k, n − k + 1). S grows with p, so ln T is concave in ln p.
///
/// Source: b by the saddle-point expansion of Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000), which is exact
/// to the last digits for all n; I_p(k, n − k + 1) as a sum: Abramowitz and Stegun, 26.5.24.
struct BinomialTail {
    private let k, n: Double

    /// - Precondition: there are successes and failures.
    init(successes: Int, of count: Int) {
        precondition(successes > 0 && successes < count, "some trials succeed and some do not")
        (k, n) = (Double(successes), Double(count))
    }

    /// The p with ln T(p) as given, below 0.
    ///
    /// Newton's method on ln T over ln p. The start is left of the solution: with T ≤ (n over k) p^k ≤ (n e p / k)^k, T is at most what
    /// it is to be where that is. Tangents of a concave function lie above it, so no step goes past the solution.
    func probability(logTail: Double) -> Double {
        var logP = log(k / n) - 1 + logTail / k
        // Steps near T = 1 are the least: at most 1 / z of a standard deviation for a solution z of them away, and z < 9.
        for _ in 0..<200 {
            let (reached, slope) = tail(logP: logP)
            let next = logP + (logTail - reached) / slope
            // Rounding alone goes back, or past 1.
            guard next > logP, next < 0 else { break }
            let isSettled = next - logP <= Double.ulpOfOne * (1 - logP)
            logP = next
            if isSettled { break }
        }
        return exp(logP)
    }

    /// ln T and its derivative with respect to ln p. Complexity: O(√n) but for p far above k / n.
    func tail(logP: Double) -> (log: Double, slope: Double) {
        // 1 − p to the last digits where p is near 1.
        let (p, q) = (exp(logP), -expm1(logP))
        let odds = p / q
        var (term, sum, i) = (1.0, 1.0, k)
        while i < n {
            let ratio = (n - i) / (i + 1) * odds
            term *= ratio
            sum += term
            i += 1
            // Ratios fall, so what is left is less than a geometric series.
            if ratio < 1, term * ratio <= 0x1p-55 * sum * (1 - ratio) { break }
        }
        return (logMass(p: p, q: q) + log(sum), k / sum)
    }

    /// ln b(k).
    private func logMass(p: Double, q: Double) -> Double {
        StirlingError.of(n) - StirlingError.of(k) - StirlingError.of(n - k) - Self.deviance(k, expected: n * p)
            - Self.deviance(n - k, expected: n * q) + log(n / (2 * .pi * k * (n - k))) / 2
    }

    /// x ln(x / m) + m − x, without the cancellation where x is near m: Loader's bd0.
    private static func deviance(_ x: Double, expected m: Double) -> Double {
        guard abs(x - m) < 0.1 * (x + m) else { return x * log(x / m) + m - x }
        let v = (x - m) / (x + m)
        var sum = (x - m) * v
        var power = 2 * x * v
        for odd in stride(from: 3.0, through: 1000, by: 2) {
            power *= v * v
            let next = sum + power / odd
            if next == sum { break }
            sum = next
        }
        return sum
    }
}

/// ln n! − ln(√(2πn) (n / e)^n), what Stirling's formula leaves out: Loader's stirlerr.
private enum StirlingError {
    static func of(_ n: Double) -> Double {
        guard n >= 16 else {
            // 15! is below 2⁵³.
            let factorial = stride(from: 1, through: n, by: 1).reduce(1.0, *)
            return log(factorial) - log(2 * .pi * n) / 2 - n * log(n) + n
        }
        // Five terms of Stirling's series; the sixth is below 2⁻⁵³ from 16 on.
        let square = 1 / (n * n)
        return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - square / 1188) * square) * square) * square) / n
    }
}
