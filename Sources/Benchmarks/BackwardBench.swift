import AttentionCore
import AttentionKernels
import LanguageModels
import Parallelism
import Reporting
import SampleAttention

/// Times a pass backward through a model beside its forward pass.
package struct BackwardBench {
    private let model: LanguageModel
    private let labels: Int
    private let rounds: Int

    /// - Parameter labels: sets that are taken back together.
    package init(model: LanguageModel, labels: Int, rounds: Int) { (self.model, self.labels, self.rounds) = (model, labels, rounds) }

    package struct Row: BenchRow {
        let precision, isa: String
        let threads, length, labels: Int
        /// The loss of every position under full attention.
        let forwardSeconds, forwardLeast, forwardMost: Double
        /// The forward pass that keeps what gradients need; then from labels to the first layer's attention.
        let traceSeconds, backwardSeconds, backwardLeast, backwardMost: Double
        let timesForward, maxError: Double

        package static let titles = [
            "tokens", "labels", "forward s", "least", "most", "kept s", "backward s", "least", "most", "times forward", "error",
        ]
        package var cells: [String] {
            ["\(length)", "\(labels)"]
                + [forwardSeconds, forwardLeast, forwardMost, traceSeconds, backwardSeconds, backwardLeast, backwardMost].map {
                    NumberFormat.fixed($0, decimals: 3)
                } + [NumberFormat.fixed(timesForward, decimals: 2), NumberFormat.fixed(maxError, decimals: 5)]
        }
    }

    /// - Parameters:
    ///   - error: see `check(_:)`.
    ///   - advance: called after each round.
    package func run(_ tokens: [Int32], error: Double, advance: () -> Void) throws -> Row {
        var forward: [Double] = [], kept: [Double] = [], backward: [Double] = []
        let sets = (0..<labels).map { $0 == 0 ? GradientLabels.text : .fisher(seed: UInt64($0)) }
        for _ in 0..<rounds {
            forward.append(try ContinuousClock().measure { _ = try model.score(tokens, policy: .dense) }.seconds)
            let start = ContinuousClock.now
            let trace = try GradientTrace(tokens, model: model)
            kept.append((ContinuousClock.now - start).seconds)
            backward.append(try ContinuousClock().measure { try trace.takeBack(sets) { _ in } }.seconds)
            advance()
        }
        let (one, trace, back) = (Timing(rounds: forward), Timing(rounds: kept), Timing(rounds: backward))
        return Row(
            precision: model.kernel.precision.rawValue, isa: model.kernel.instructionSet.rawValue, threads: model.kernel.pool.threads,
            length: tokens.count, labels: labels, forwardSeconds: one.median, forwardLeast: one.least, forwardMost: one.most,
            traceSeconds: trace.median, backwardSeconds: back.median, backwardLeast: back.least, backwardMost: back.most,
            timesForward: back.median / one.median, maxError: error)
    }

    /// The largest difference of a prompt's gradients from those of the same model in FP32 on another instruction set, relative to the
    /// largest gradient of all layers.
    ///
    /// - Throws: `InputError` (`internalFailure`) when the gradients are wrong, so that wrong ones are never timed.
    package func check(_ tokens: [Int32]) throws -> Double {
        try ReferenceCheck(of: "gradients").error(of: model) { model in
            var all: [Float] = []
            try GradientTrace(tokens, model: model).takeBack([.text]) { layer in
                let gradient = layer.gradients[0]
                all += UnsafeBufferPointer(start: gradient.base, count: gradient.heads * gradient.tokens * gradient.dimension)
            }
            return all
        }
    }
}
