import AttentionCore
import LinearAlgebra
import SampleAttention

/// One measured layer: what it had to do, and how long it took.
package struct LatencySample: Hashable, Sendable {
    /// The layer.
    package let setting: CalibrationSetting
    /// Of all heads together.
    package let work: HeadWork
    /// The median of the rounds.
    package let seconds: Double

    /// - Parameter seconds: wall time, positive.
    package init(setting: CalibrationSetting, work: HeadWork, seconds: Double) {
        self.setting = setting
        self.work = work
        self.seconds = seconds
    }
}

/// Coefficients from measured layers, and how well they tell those they have not seen.
package struct LatencyFit: Sendable {
    /// Wall seconds of a unit of each term.
    package let secondsPerUnit: [HeadWork.Term: Double]
    /// Every layer, in the order of the samples.
    package let residuals: [LatencyFile.Residual]

    /// Fits to the layers that are not held out.
    ///
    /// Minimises Σ (predicted / measured − 1)² over coefficients that are not negative: an error of 5 % counts alike for layers of
    /// milliseconds and of seconds. Terms that no layer has cost nothing.
    package init(_ samples: [LatencySample], heldOut: Set<Int>) {
        let fitted = samples.indices.filter { !heldOut.contains($0) }.map { samples[$0] }
        let costs = NonNegativeLeastSquares.solve(
            LeastSquaresProblem(
                columns: HeadWork.Term.allCases.map { term in fitted.map { $0.work[term] / $0.seconds } },
                target: Array(repeating: 1, count: fitted.count)))
        let coefficients = Dictionary(uniqueKeysWithValues: zip(HeadWork.Term.allCases, costs))
        secondsPerUnit = coefficients
        residuals = samples.enumerated().map { index, sample in
            LatencyFile.Residual(
                sample, predictedSeconds: coefficients.reduce(0) { $0 + $1.value * sample.work[$1.key] },
                isHeldOut: heldOut.contains(index))
        }
    }

    /// Which layers to hold out: a quarter of each kind's, drawn with a seed; none of a kind with fewer than four.
    package static func heldOut(_ settings: [CalibrationSetting], seed: UInt64) -> Set<Int> {
        var generator = SeededGenerator(seed: seed)
        var heldOut: Set<Int> = []
        for kind in CalibrationSetting.Kind.allCases {
            let own = settings.indices.filter { settings[$0].kind == kind }.shuffled(using: &generator)
            heldOut.formUnion(own.prefix(own.count / 4))
        }
        return heldOut
    }

    /// The mean of |predicted / measured − 1|, as a share; 0 of none.
    package static func meanAbsolutePercentageError(_ residuals: [LatencyFile.Residual]) -> Double {
        residuals.isEmpty ? 0 : residuals.reduce(0) { $0 + abs($1.relativeError) } / Double(residuals.count)
    }
}
