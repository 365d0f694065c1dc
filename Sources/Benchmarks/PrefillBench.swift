import AttentionCore
import AttentionKernels
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import SampleAttention

/// Times a model's prefill and its parts with one attention.
package struct PrefillBench {
    let model: LanguageModel
    let policy: AttentionPolicy
    let rounds: Int
    private var kernel: AttentionKernel { model.kernel }

    package init(model: LanguageModel, policy: AttentionPolicy, rounds: Int) {
        (self.model, self.policy, self.rounds) = (model, policy, rounds)
    }

    /// Longer prompts have no need of a round that only warms up.
    private static let longestWarmUp = 8192

    /// Rounds at a length, one that only warms up among them.
    package func allRounds(_ length: Int) -> Int { rounds + (length <= Self.longestWarmUp ? 1 : 0) }

    package struct Row: BenchRow {
        let attention, precision, isa: String
        let threads, length: Int
        /// The greedy choice after the prompt.
        let token: Int
        let seconds, secondsLeast, secondsMost, attentionSeconds, selectionSeconds, productSeconds, otherSeconds, density: Double
        let gigaflops, shareOfPeak, maxError: Double

        package static let titles = [
            "attention", "tokens", "TTFT s", "least", "most", "attention s", "selection s", "products s", "other s", "other", "density",
            "GFLOP/s", "of peak",
        ]
        package var cells: [String] {
            [
                attention, "\(length)", NumberFormat.fixed(seconds, decimals: 3), NumberFormat.fixed(secondsLeast, decimals: 3),
                NumberFormat.fixed(secondsMost, decimals: 3), NumberFormat.fixed(attentionSeconds, decimals: 3),
                NumberFormat.fixed(selectionSeconds, decimals: 3), NumberFormat.fixed(productSeconds, decimals: 3),
                NumberFormat.fixed(otherSeconds, decimals: 3), NumberFormat.percent(otherSeconds / seconds),
                NumberFormat.percent(density), NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak),
            ]
        }
    }

    /// - Parameters:
    ///   - error: see `check(_:)`.
    ///   - advance: called after each round.
    package func run(_ tokens: [Int32], peak: Double, error: Double, advance: () -> Void) throws -> Row {
        var prefills: [LanguageModel.Prefill] = []
        for _ in 0..<allRounds(tokens.count) {
            prefills.append(try model.prefill(tokens, newPositions: 0, policy: policy).prefill)
            advance()
        }
        return row(prefills.suffix(rounds), peak: peak, error: error)
    }

    private func row(
        _ prefills: ArraySlice<LanguageModel.Prefill>, peak: Double, error: Double
    ) -> Row {
        let reports = prefills.map(\.report)
        func median(_ value: (LanguageModel.PrefillReport) -> Double) -> Double { Timing(rounds: reports.map(value)).median }
        let total = Timing(rounds: reports.map(\.seconds))
        let logits = prefills.last!.logits
        let configuration = model.description
        let shape = DecoderShape(configuration, name: model.files.path)
        let first = reports[0]
        let pairs = first.chunks.joined().reduce(0) { $0 + $1.keptPairs.reduce(0, +) }
        let operations = Double(pairs) * 4 * Double(configuration.headDimension) + shape.productOperations(tokens: first.tokens)
        let gigaflops = operations / total.median / 1e9
        return Row(
            attention: policy.name, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
            threads: kernel.pool.threads, length: first.tokens,
            token: logits.indices.max { logits[$0] < logits[$1] }!, seconds: total.median, secondsLeast: total.least,
            secondsMost: total.most, attentionSeconds: median(\.attentionSeconds), selectionSeconds: median(\.selectionSeconds),
            productSeconds: median(\.productSeconds),
            otherSeconds: median { $0.seconds - $0.attentionSeconds - $0.productSeconds }, density: first.density, gigaflops: gigaflops,
            shareOfPeak: gigaflops / peak, maxError: error)
    }

    /// The largest difference of a prompt's scores from those of the same model in FP32 on another instruction set, relative to the
    /// largest score.
    ///
    /// - Throws: `InputError` (`internalFailure`) when the scores are wrong, so that a wrong model is never timed.
    package func check(_ tokens: [Int32]) throws -> Double {
        try ReferenceCheck(of: "logits").error(of: model) { model in
            try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: .dense).logits
        }
    }
}
