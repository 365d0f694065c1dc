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
        var tensors = DecoderTensors.standard(description)
        let names = tensors.layer
        tensors.layer = { index in
            var layer = names(index)
            let prefix = "model.layers.\(index)."
            layer.normAfterAttention = TensorSlice(prefix + "post_attention_layernorm.weight", [description.hiddenSize])
            layer.normAfterFeedForward = TensorSlice(prefix + "post_feedforward_layernorm.weight", [description.hiddenSize])
            return layer
        }
        return tensors
    }
}
