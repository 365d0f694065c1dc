import AttentionCore

/// GLM-4 and GLM-4-0414 as transformers has them: neighbours are rotated, in half of each head; `glm4` has norms after its branches too.
/// Source: arXiv 2406.12793.
enum GLMFamily: ModelFamily {
    static let modelTypes = ["glm", "glm4"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(
            keyValueHeads: 2, headDimension: 128, maximumPositions: 131_072, rotaryShare: 0.5, pairs: .neighbours,
            normEpsilon: 1.5625e-7
        ).describe(config)
        // Never of the output projection.
        let hasBias = try config.bool("attention_bias", default: true)
        for index in description.layers.indices {
            description.layers[index].attention.hasInputBias = hasBias
            if description.modelType == "glm4" { description.layers[index].order = .sequential(normsBefore: true, normsAfter: true) }
        }
        return description
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors {
        let hidden = description.hiddenSize
        return .standard(description) { tensors, layer, prefix in
            tensors.fuseGate(prefix + "mlp.gate_up_proj", hidden: hidden)
            guard layer.order.normsAfter else { return }
            tensors.normAfterAttention = TensorSlice(prefix + "post_self_attn_layernorm.weight", [hidden])
            tensors.normAfterFeedForward = TensorSlice(prefix + "post_mlp_layernorm.weight", [hidden])
        }
    }
}
