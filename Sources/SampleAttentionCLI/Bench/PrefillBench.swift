import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import Evaluation
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

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        let session = try model.open()
        let policy = try attention.policy(session)
        let lengths = try texts.lengths(session, default: [4096])
        let text = try texts.texts(session)[0]
        let bench = PrefillBench(model: session.model, policy: policy, rounds: rounds)
        let error = try bench.check(text.prompt(length: min(128, session.model.description.maximumPositions)))
        let peak = MachinePeak(kernel: session.kernel).gigaflops(session.kernel.precision)
        let progress = ProgressBar("bench", total: lengths.reduce(0) { $0 + bench.allRounds($1) })
        defer { progress.finish() }
        let results = try lengths.map { length in
            try bench.run(text.prompt(length: length), peak: peak, error: error) { progress.advance(status: "\(length) tokens") }
        }
        progress.finish()
        BenchResult(
            provenance: session.provenance(texts: [text.identity], lengths: lengths), loadSeconds: session.loadSeconds, results: results
        ).show(json: session.json)
    }
}
