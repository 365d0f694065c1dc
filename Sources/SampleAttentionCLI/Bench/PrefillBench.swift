import ArgumentParser
import AttentionCore
import AttentionKernels
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench prefill`: time to first token of a model, and where it goes.
struct PrefillBenchCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefill", abstract: "Time a model's prefill and its parts on a text.",
        discussion: """
            Seconds are medians: all that a user waits for once the model is loaded, up to the first token's scores; attention (selection included), matrix products, and the \
            rest. Before, the first 128 tokens' scores are compared with those of the same model in FP32 on another instruction set.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var texts: TextOptions
    @OptionGroup var attention: AttentionOptions

    @Option(help: "Timed rounds; an untimed one goes before for prompts of up to 8,192 tokens.")
    var rounds = 3

    private static let longestWarmUp = 8192

    struct Row: BenchRow {
        let attention, precision, isa: String
        let threads, length: Int
        /// The greedy choice after the prompt.
        let token: Int
        let seconds, secondsLeast, secondsMost, attentionSeconds, selectionSeconds, productSeconds, otherSeconds, density: Double
        let gigaflops, shareOfPeak, maxError: Double

        static let titles = [
            "attention", "tokens", "TTFT s", "least", "most", "attention s", "selection s", "products s", "other s", "other", "density",
            "GFLOP/s", "of peak",
        ]
        var cells: [String] {
            [
                attention, "\(length)", NumberFormat.fixed(seconds, decimals: 3), NumberFormat.fixed(secondsLeast, decimals: 3),
                NumberFormat.fixed(secondsMost, decimals: 3), NumberFormat.fixed(attentionSeconds, decimals: 3),
                NumberFormat.fixed(selectionSeconds, decimals: 3), NumberFormat.fixed(productSeconds, decimals: 3),
                NumberFormat.fixed(otherSeconds, decimals: 3), NumberFormat.percent(otherSeconds / seconds),
                NumberFormat.percent(density), NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak),
            ]
        }
    }

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        let session = try model.open()
        let policy = try attention.policy(session)
        let lengths = try texts.lengths(session, default: [4096])
        let text = try texts.texts(session)[0]
        let error = try check(session, text: text)
        let peak = MachinePeak(kernel: session.kernel).gigaflops(session.kernel.precision)
        let progress = ProgressBar("bench", total: lengths.reduce(0) { $0 + rounds + ($1 <= Self.longestWarmUp ? 1 : 0) })
        defer { progress.finish() }
        var results: [Row] = []
        for length in lengths {
            let tokens = try text.prompt(length: length)
            var prefills: [LanguageModel.Prefill] = []
            // The first round only warms up; long ones have no need of it.
            for _ in 0..<rounds + (length <= Self.longestWarmUp ? 1 : 0) {
                prefills.append(try session.model.prefill(tokens, newPositions: 0, policy: policy).prefill)
                progress.advance(status: "\(length) tokens")
            }
            results.append(row(prefills.suffix(rounds), policy: policy, session: session, peak: peak, error: error))
        }
        progress.finish()
        BenchResult(
            provenance: session.provenance(texts: [text.identity], lengths: lengths), loadSeconds: session.loadSeconds, results: results
        ).show(json: session.json)
    }

    private func row(
        _ prefills: ArraySlice<LanguageModel.Prefill>, policy: AttentionPolicy, session: Session, peak: Double, error: Double
    ) -> Row {
        let reports = prefills.map(\.report)
        func median(_ value: (LanguageModel.PrefillReport) -> Double) -> Double { Timing(rounds: reports.map(value)).median }
        let total = Timing(rounds: reports.map(\.seconds))
        let logits = prefills.last!.logits
        let configuration = session.model.configuration
        let shape = DecoderShape(configuration, name: session.model.directory.path)
        let first = reports[0]
        let pairs = first.chunks.joined().reduce(0) { $0 + $1.keptPairs.reduce(0, +) }
        let operations = Double(pairs) * 4 * Double(configuration.headDimension) + shape.productOperations(tokens: first.tokens)
        let gigaflops = operations / total.median / 1e9
        return Row(
            attention: policy.name, precision: session.kernel.precision.rawValue, isa: session.kernel.instructionSet.rawValue,
            threads: session.kernel.pool.threads, length: first.tokens,
            token: logits.indices.max { logits[$0] < logits[$1] }!, seconds: total.median, secondsLeast: total.least,
            secondsMost: total.most, attentionSeconds: median(\.attentionSeconds), selectionSeconds: median(\.selectionSeconds),
            productSeconds: median(\.productSeconds),
            otherSeconds: median { $0.seconds - $0.attentionSeconds - $0.productSeconds }, density: first.density, gigaflops: gigaflops,
            shareOfPeak: gigaflops / peak, maxError: error)
    }

    /// - Throws: `InputError` (`internalFailure`) when the scores are wrong, so that a wrong model is never timed.
    private func check(_ session: Session, text: PromptText) throws -> Double {
        let own = session.kernel
        let other = own.instructionSet.modelCheckingSet
        let reference = try LanguageModel.load(
            directory: session.model.directory.path, kernel: AttentionKernel(instructionSet: other, pool: own.pool),
            ignoresExtraTensors: true)
        let tokens = try text.prompt(length: min(128, session.model.configuration.maximumPositions))
        let scores = try [session.model, reference].map { model in
            try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: .dense).logits
        }
        let largest = scores[1].reduce(0) { max($0, abs($1)) }
        let differences = zip(scores[0], scores[1]).map { Double(abs($0 - $1) / largest) }
        // `max` would pass over what is not a number.
        let error = differences.contains { $0.isNaN } ? .infinity : differences.max() ?? 0
        // Relative to the largest score; BF16's rounding of every operand adds up over the layers.
        let limit = own.precision == .fp32 ? 1e-3 : 0.1
        guard error < limit else {
            throw InputError(
                .internalFailure, field: "logits", value: "\(error)", rule: "must agree with FP32 on \(other.rawValue) to \(limit)")
        }
        return error
    }
}
