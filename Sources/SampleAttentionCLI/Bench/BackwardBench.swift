import ArgumentParser
import AttentionCore
import Benchmarks
import Evaluation
import LanguageModels
import Reporting
import RunProvenance

/// `bench backward`: what gradients at every layer's attention cost beside a forward pass.
struct BackwardBenchCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "backward", abstract: "Time a pass backward through a model beside its forward pass.",
        discussion: """
            Forward is full attention with the scores of every position, as a loss takes them. Kept is the same without scores, keeping what \
            gradients need; backward goes from the labels' log-probabilities to the output of every layer's attention, computing \
            again what was not kept. Before, gradients of 128 tokens are compared with those of the same model in FP32 on another \
            instruction set.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var texts: TextOptions

    @Option(help: "Label sets that are taken back together: the text's own, then random ones.")
    var labels = 1

    @Option(help: "Timed rounds.")
    var rounds = 3

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        _ = try ParameterOptions.count(labels, "labels", atLeast: 1)
        let session = try model.open()
        let lengths = try texts.lengths(session, default: [4096])
        let text = try texts.texts(session)[0]
        let bench = BackwardBench(model: session.model, labels: labels, rounds: rounds)
        let error = try bench.check(text.prompt(length: min(128, session.model.description.maximumPositions)))
        let progress = ProgressBar("bench", total: lengths.count * rounds)
        defer { progress.finish() }
        let results = try lengths.map { length in
            try bench.run(text.prompt(length: length), error: error) { progress.advance(status: "\(length) tokens") }
        }
        progress.finish()
        BenchResult(
            provenance: session.provenance(texts: [text.identity], lengths: lengths), loadSeconds: session.loadSeconds, results: results
        ).show(json: session.json)
    }
}
