import AttentionCore
import AttentionKernels
import AttentionLayers
import ModelFormats
import RunProvenance
import SampleAttention

/// The layers of a prompt that a model runs, in one dense prefill: those that attend to everything, which sparse attention can gain in.
public struct PromptLayers: LayerSource {
    public let prompt: [Int32]
    public let text: Provenance.Text
    private let model: LanguageModel

    /// - Parameter text: what the prompt is of.
    public init(_ prompt: [Int32], of text: Provenance.Text, model: LanguageModel) {
        self.prompt = prompt
        self.text = text
        self.model = model
    }

    public var kernel: AttentionKernel { model.kernel }
    public var layers: [Int] { model.description.fullAttentionLayers }
    public var queryHeads: Int { model.description.queryHeads }
    public var tokens: Int { prompt.count }

    /// - Throws: as `LanguageModel.prefill`, and what `body` throws.
    public func forEachLayer(_ body: (LayerAttention) throws -> Void) throws {
        try withoutActuallyEscaping(body) { body in
            var tap = AttentionTap(body)
            // What is measured of a layer is of its own keys and values, not of rounded ones.
            let cache = try model.makeCache(capacity: prompt.count, format: .fp32)
            _ = try model.prefill(prompt, cache: cache, policy: .dense, observer: &tap)
        }
    }
}
