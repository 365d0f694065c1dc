import AttentionCore

/// Phi-3 and Phi-4-mini: a Llama with fused projections, a part of each head rotated, LongRoPE, and one window for all layers.
/// Source: arXiv 2404.14219.
enum Phi3Family: ModelFamily {
    static let modelTypes = ["phi3"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(maximumPositions: 4096, originalPositions: 4096, normEpsilon: 1e-5).describe(config)
        config.ignore(["use_sliding_window"])
        let window = try config.window(default: nil)
        description.setWindow(window, in: try config.layersWithWindow(count: description.layerCount) { _ in true })
        return description
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors {
        var tensors = DecoderTensors.standard(description)
        let names = tensors.layer
        tensors.layer = { index in
            var layer = names(index)
            layer.fuseProjections("model.layers.\(index).self_attn.qkv_proj", description)
            layer.fuseGate("model.layers.\(index).mlp.gate_up_proj", hidden: description.hiddenSize)
            return layer
        }
        return tensors
    }
}
