import AttentionCore
import Foundation
import ModelFormats
import RunProvenance

/// Writes the layers of a source as the safetensors file that `CapturedLayers` reads.
public struct LayerCapture {
    private let model: ModelIdentity
    private let text: Provenance.Text
    private let tool: String

    /// - Parameters:
    ///   - model: whose layers they are, and the text that was run, for the file's metadata.
    ///   - tool: what writes the file.
    public init(model: ModelIdentity, text: Provenance.Text, tool: String) {
        self.model = model
        self.text = text
        self.tool = tool
    }

    /// The whole file, held in memory: 4 · tokens · (queryHeads + 2 · keyValueHeads) · d bytes a layer.
    ///
    /// - Parameters:
    ///   - chosen: the layers to write.
    ///   - advance: called after each of the source's layers.
    /// - Throws: as `LayerSource.forEachLayer`.
    public func encoded(_ source: some LayerSource, layers chosen: Set<Int>, advance: () -> Void = {}) throws -> Data {
        var encoder = SafetensorsEncoder()
        // A model caps the scores of all its layers or of none.
        var softCap: Double?
        try source.forEachLayer { attention in
            if chosen.contains(attention.layer) {
                for tensor in CapturedTensor.allCases {
                    let own = tensor.view(attention.inputs)
                    encoder.append(
                        tensor.name(layer: attention.layer), shape: [own.tokens, own.heads, own.dimension], Self.values(own))
                }
                let rule = attention.inputs.shape.scores
                softCap = rule.softCap
                if let sinks = rule.sinks {
                    encoder.append(CapturedTensor.sinksName(layer: attention.layer), shape: [sinks.count], sinks)
                }
            }
            advance()
        }
        return encoder.encoded(
            metadata: CaptureMetadata(model: model, text: text, softCap: softCap).strings(tokens: source.tokens, tool: tool))
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

extension CapturedTensor {
    fileprivate func view(_ inputs: LayerInputs) -> HeadTensor {
        switch self {
        case .query: inputs.query
        case .key: inputs.key
        case .value: inputs.value
        }
    }
}
