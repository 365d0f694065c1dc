import ArgumentParser
import AttentionCore
import AttentionKernels
import Evaluation
import LanguageModels
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `sensitivity`: what each head alone costs the model, from gradients.
struct SensitivityCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "sensitivity", abstract: "Predict what sparse attention in each head alone costs the model, from one pass backward.",
        discussion: """
            Every head in turn attends by the parameters given and all others fully. KL(full ‖ sparse) is predicted from gradients of \
            random roots of the scores' Fisher information, the change of the text's loss from those of its own tokens: one pass backward serves all heads. \
            --probes runs the model for some heads, half of them those that are predicted to cost most, and shows how well predictions agree. The prompt is the text's start.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var texts: TextOptions
    @OptionGroup var parameters: ParameterOptions

    @Option(help: "Random roots of the Fisher information; the error of a prediction falls with the root of their number.")
    var draws = 4

    @Option(help: "Heads to measure too, each by a forward pass.")
    var probes = 0

    @Option(help: "Rows of the table; JSON has all heads.")
    var top = 20

    func run() throws {
        _ = try ParameterOptions.count(draws, "draws", atLeast: 1, atMost: 1024)
        _ = try ParameterOptions.count(probes, "probes", atLeast: 0)
        _ = try ParameterOptions.count(top, "top", atLeast: 1)
        let session = try model.open()
        let tried = try parameters.parameters(seed: session.seed)
        let lengths = try texts.lengths(session, default: [4096])
        guard texts.text.count <= 1 else {
            throw InputError(.usage, field: "text", value: texts.text[1], rule: "there must be one text: gradients are of one prompt")
        }
        let text = try texts.texts(session)[0]
        let study = SensitivityStudy(model: session.model, parameters: tried, draws: draws, probes: probes, seed: session.seed)
        var results: [SensitivityResult.Length] = []
        for length in lengths {
            let tokens = try text.prompt(length: length)
            let start = ContinuousClock.now
            var bar: ProgressBar?
            defer { bar?.finish() }
            let heads = try study.run(tokens) { progress in
                if bar == nil { bar = ProgressBar("\(length) tokens", total: progress.total) }
                bar?.update(done: progress.done, status: progress.status)
            }
            results.append(
                .init(
                    length: length, seconds: (ContinuousClock.now - start).seconds, heads: heads, precision: session.kernel.precision))
        }
        let result = SensitivityResult(
            model: try session.identity(), provenance: session.provenance(texts: [text.identity], lengths: lengths), parameters: tried,
            draws: draws, lengths: results)
        if session.json { JSONOutput.print(result) } else { print(result.text(heads: top), terminator: "") }
    }
}
