import AttentionCore
import ModelFormats

/// Gemma 2: norms before and after each branch, capped scores, a window in every other layer. Source: arXiv 2408.00118.
enum Gemma2Family: ModelFamily {
    static let modelTypes = ["gemma2"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(
            vocabularySize: 256_000, hiddenSize: 2304, layerCount: 26, queryHeads: 8, keyValueHeads: 4, headDimension: 256,
            feedForwardWidth: 9216, maximumPositions: 8192, activationName: "hidden_activation",
            activation: "gelu_pytorch_tanh", tiesEmbeddings: true
        ).describe(config)
        try config.readGemma(into: &description)
        let cap = try config.softCap("attn_logit_softcapping", default: 50)
        for index in description.layers.indices { description.layers[index].attention.softCap = cap }
        description.head.softCap = try config.softCap("final_logit_softcapping", default: 30)
        let window = try config.requiredWindow(default: 4096)
        description.setWindow(window, in: try config.layersWithWindow(count: description.layerCount) { $0 % 2 == 0 })
        return description
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors { .gemma(description) }
}

extension ConfigReader {
    /// What Gemma 2 and 3 share.
    func readGemma(into description: inout DecoderDescription) throws(InputError) {
        // Old files have it beside `hidden_activation`, which counts.
        ignore(["hidden_act"])
        try require("attention_bias", false)
        try require("use_bidirectional_attention", false)
        description.norm.weightOffset = 1
        description.embeddingScale = Double(description.hiddenSize).squareRoot()
        let scalar = try number("query_pre_attn_scalar", in: 1e-3...1e6, default: 256)
        for index in description.layers.indices {
            description.layers[index].attention.scoreScale = 1 / scalar.squareRoot()
            description.layers[index].order = .sequential(normsBefore: true, normsAfter: true)
        }
    }
}

extension DecoderTensors {
    static func gemma(_ description: DecoderDescription) -> DecoderTensors {
        let hidden = description.hiddenSize
        return standard(description) { tensors, _, prefix in
            tensors.normAfterAttention = TensorSlice(prefix + "post_attention_layernorm.weight", [hidden])
            tensors.normBeforeFeedForward = TensorSlice(prefix + "pre_feedforward_layernorm.weight", [hidden])
            tensors.normAfterFeedForward = TensorSlice(prefix + "post_feedforward_layernorm.weight", [hidden])
        }
    }
}
