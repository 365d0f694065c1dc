import AttentionCore

/// Granite 3: a Llama with multipliers of embeddings, scores, branches and logits. Source: its reference implementation in transformers.
enum GraniteFamily: ModelFamily {
    static let modelTypes = ["granite"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig().describe(config)
        try config.readBiases(into: &description.layers)
        let multipliers = 1e-6...1e6
        description.embeddingScale = try config.number("embedding_multiplier", in: multipliers, default: 1)
        description.head.scale = 1 / (try config.number("logits_scaling", in: multipliers, default: 1))
        let scores = try config.number("attention_multiplier", in: multipliers, default: 1)
        let residual = try config.number("residual_multiplier", in: multipliers, default: 1)
        for index in description.layers.indices {
            description.layers[index].attention.scoreScale = scores
            description.layers[index].residualScale = residual
        }
        return description
    }
}
