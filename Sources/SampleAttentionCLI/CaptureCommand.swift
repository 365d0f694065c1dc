import ArgumentParser
import AttentionCore
import AttentionKernels
import DurableFiles
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention

/// `capture`: a prompt's Q, K and V as they enter attention, for other tools.
struct CaptureCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Write the queries, keys and values of a prompt to a safetensors file.",
        discussion: """
            One dense prefill; tensors layers.N.query [tokens][query heads][d], layers.N.key and layers.N.value \
            [tokens][key-value heads][d], F32, rotated, not scaled: attention is softmax(Q Kᵀ / √d) V. Memory and file: \
            4 · tokens · (query heads + 2 · key-value heads) · d bytes a layer.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions

    @Option(help: ArgumentHelp("Layer to write; repeatable (default: all).", valueName: "index"))
    var layer: [Int] = []

    @Option(help: ArgumentHelp("File to write.", valueName: "file"))
    var output: String

    func run() throws {
        let session = try model.open()
        let layers = session.model.configuration.layerCount
        for index in layer { _ = try ParameterOptions.count(index, "layer", atLeast: 0, atMost: layers - 1) }
        let lengths = try text.lengths(session, default: [2048])
        guard lengths.count == 1, text.text.count <= 1 else {
            throw InputError(.usage, field: "length", rule: "a file holds one prompt: give one --length and one --text")
        }
        let source = try text.texts(session)[0]
        let tokens = try source.prompt(length: lengths[0])
        let chosen = Set(layer.isEmpty ? Array(0..<layers) : layer)
        var encoder = SafetensorsEncoder()
        let progress = ProgressBar("capture", total: layers)
        var tap = AttentionTap { layer, inputs, _ in
            progress.advance()
            guard chosen.contains(layer) else { return }
            for (name, tensor) in [("query", inputs.query), ("key", inputs.key), ("value", inputs.value)] {
                encoder.append(
                    "layers.\(layer).\(name)", shape: [tensor.tokens, tensor.heads, tensor.dimension], Self.values(tensor))
            }
        }
        let cache = try session.model.makeCache(capacity: tokens.count)
        _ = try session.model.prefill(tokens, cache: cache, policy: .dense, observer: &tap)
        progress.finish()
        let identity = try session.identity()
        try AtomicFile.write(
            encoder.encoded(metadata: [
                "model": identity.summary, "text": source.name, "textSHA256": source.sha256, "tokens": "\(tokens.count)",
                "tool": "\(ToolVersion.version) (\(BuildRecord.commit))",
            ]), to: output)
        let result = CaptureResult(
            model: identity, provenance: session.provenance(texts: [source], lengths: lengths), file: output, layers: chosen.sorted())
        if session.json { JSONOutput.print(result) } else { Message.write("Wrote \(chosen.count) layers to \(output)") }
    }

    /// [token][head][d].
    private static func values(_ tensor: HeadTensor) -> [Float] {
        let width = tensor.heads * tensor.dimension
        return [Float](unsafeUninitializedCapacity: tensor.tokens * width) { buffer, count in
            for token in 0..<tensor.tokens {
                for head in 0..<tensor.heads {
                    (buffer.baseAddress! + token * width + head * tensor.dimension).update(
                        from: tensor.row(head: head, token: token), count: tensor.dimension)
                }
            }
            count = tensor.tokens * width
        }
    }
}

/// What `capture --json` prints.
private struct CaptureResult: Encodable {
    let model: TunedConfig.ModelIdentity
    let provenance: TunedConfig.Provenance
    let file: String
    let layers: [Int]
}
