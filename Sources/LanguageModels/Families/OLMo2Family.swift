import AttentionCore

/// OLMo 2: norms after each branch instead of before, queries and keys normed over all heads together. Source: arXiv 2501.00656.
enum OLMo2Family: ModelFamily {
    static let modelTypes = ["olmo2"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(normEpsilon: 1e-5).describe(config)
        try config.readBiases(into: &description.layers)
        for index in description.layers.indices {
            description.layers[index].attention.queryKeyNorm = .acrossHeads
            description.layers[index].order = .sequential(normsBefore: false, normsAfter: true)
        }
        return description
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors {
        let hidden = description.hiddenSize
        return .standard(description) { tensors, _, prefix in
            tensors.normAfterAttention = TensorSlice(prefix + "post_attention_layernorm.weight", [hidden])
            tensors.normAfterFeedForward = TensorSlice(prefix + "post_feedforward_layernorm.weight", [hidden])
        }
    }
}
