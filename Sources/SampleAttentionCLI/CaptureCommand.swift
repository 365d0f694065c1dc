import ArgumentParser
import AttentionCore
import AttentionLayers
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention

/// `capture`: a prompt's Q, K and V as they enter attention, for other tools.
struct CaptureCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Write the queries, keys and values of a prompt to a safetensors file.",
        discussion: """
            One dense prefill; tensors layers.N.query [tokens][query heads][d], layers.N.key and layers.N.value \
            [tokens][key-value heads][d], F32, rotated, not scaled: attention is softmax(Q Kᵀ / √d) V. Memory and file: \
            4 · tokens · (query heads + 2 · key-value heads) · d bytes a layer. `profile`, `verify`, `audit` and `search` read such files with \
            --captured, whoever wrote them.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions

    @Option(help: ArgumentHelp("Layer to write; repeatable (default: all).", valueName: "index"))
    var layer: [Int] = []

    @Option(help: ArgumentHelp("File to write.", valueName: "file"))
    var output: String

    func run() throws {
        let session = try model.open()
        let layers = try session.sparseLayers()
        for index in layer {
            _ = try ParameterOptions.count(index, "layer", atLeast: 0, atMost: session.model.description.layerCount - 1)
        }
        for index in layer where !layers.contains(index) {
            throw InputError(
                .usage, field: "layer", value: "\(index)",
                rule: "must be one of those that attend to everything: \(layers.map(String.init).joined(separator: ", "))")
        }
        let lengths = try text.lengths(session, default: [2048])
        guard lengths.count == 1, text.text.count <= 1 else {
            throw InputError(.usage, field: "length", rule: "a file holds one prompt: give one --length and one --text")
        }
        let source = try text.texts(session)[0]
        let tokens = try source.prompt(length: lengths[0])
        let chosen = Set(layer.isEmpty ? layers : layer)
        let capture = LayerCapture(
            model: try session.identity(), text: source.identity, tool: "\(ToolVersion.version) (\(BuildRecord.commit))")
        let progress = ProgressBar("capture", total: layers.count)
        let data = try capture.encoded(PromptLayers(tokens, of: source.identity, model: session.model), layers: chosen) {
            progress.advance()
        }
        progress.finish()
        try AtomicFile.write(data, to: output)
        let result = CaptureResult(
            model: try session.identity(), provenance: session.provenance(texts: [source.identity], lengths: lengths), file: output,
            layers: chosen.sorted())
        if session.json { JSONOutput.print(result) } else { Message.write("Wrote \(chosen.count) layers to \(output)") }
    }
}

/// What `capture --json` prints.
private struct CaptureResult: Encodable {
    let model: ModelIdentity
    let provenance: Provenance
    let file: String
    let layers: [Int]
}
