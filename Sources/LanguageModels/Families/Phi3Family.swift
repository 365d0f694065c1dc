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
        .standard(description) { tensors, _, prefix in
            tensors.fuseProjections(prefix + "self_attn.qkv_proj", description)
            tensors.fuseGate(prefix + "mlp.gate_up_proj", hidden: description.hiddenSize)
        }
    }
}
