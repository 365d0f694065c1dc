import AttentionCore
import ModelFormats

/// ChatGLM 2 and 3, and GLM-4 in their own form: fused projections, neighbours rotated in half of each head. Source: arXiv 2406.12793.
enum ChatGLMFamily: ModelFamily {
    static let modelTypes = ["chatglm"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        for member in ["rmsnorm", "post_layer_norm", "original_rope"] { try config.require(member, true) }
        for member in ["apply_residual_connection_post_layernorm", "interleaved_qkv"] { try config.require(member, false) }
        try config.require("pre_seq_len", 0)
        try config.require("quantization_bit", 0)
        let hiddenSize = try config.integer("hidden_size", in: 1...ModelLimit.width)
        let layerCount = try config.integer("num_layers", in: 1...ModelLimit.layers)
        let queryHeads = try config.integer("num_attention_heads", in: 1...ModelLimit.heads)
        let headDimension = try config.integer("kv_channels", in: 1...ModelLimit.headDimension)
        guard headDimension % 4 == 0 else { throw config.error("kv_channels", "must be a multiple of 4") }
        let groups = "multi_query_group_num"
        let isGrouped = try config.bool("multi_query_attention", default: false)
        if !isGrouped { config.ignore([groups]) }
        let keyValueHeads =
            isGrouped ? try StandardConfig.keyValueHeads(config, groups, queryHeads: queryHeads, default: 1) : queryHeads
        guard !isGrouped || keyValueHeads < queryHeads else {
            throw config.error(groups, "must be below num_attention_heads, \(queryHeads)", code: .unsupported)
        }
        let width = try config.integer("ffn_hidden_size", in: 1...ModelLimit.intermediate)
        let vocabulary = try config.integer(
            config.has("padded_vocab_size") ? "padded_vocab_size" : "vocab_size", in: 1...ModelLimit.vocabulary)
        let positions = try config.integer("seq_length", in: 1...ModelLimit.positions, default: 2048)
        let hasBias = try config.bool("add_bias_linear", default: false)
        let hasInputBias = try config.bool("add_qkv_bias", default: false)
        var layer = LayerDescription(
            attention: AttentionDescription(
                scoreScale: StandardConfig.scoreScale(headDimension), rotary: try rotary(config, headDimension: headDimension)),
            feedForward: .gated(width: width, activation: .silu, hasBias: hasBias))
        layer.attention.hasInputBias = hasBias || hasInputBias
        layer.attention.hasOutputBias = hasBias
        return DecoderDescription(
            modelType: config.modelType, hiddenSize: hiddenSize, queryHeads: queryHeads, keyValueHeads: keyValueHeads,
            headDimension: headDimension, vocabularySize: vocabulary, maximumPositions: positions,
            norm: NormDescription(epsilon: try config.number("layernorm_epsilon", in: 0...1, default: 1e-5)),
            layers: Array(repeating: layer, count: layerCount),
            head: HeadDescription(isTied: try config.bool("tie_word_embeddings", default: false)),
            endOfText: try StandardConfig.endOfText(config, vocabularySize: vocabulary))
    }

    /// `rope_ratio` multiplies the base, but in ChatGLM2's long version, which nothing but the name tells, it divides positions.
    private static func rotary(_ config: ConfigReader, headDimension: Int) throws(InputError) -> RotaryDescription {
        let ratio = try config.number("rope_ratio", in: 1e-3...1e6, default: 1)
        let name = config.has("_name_or_path") ? try config.string("_name_or_path") : ""
        let dividesPositions = name.lowercased().contains("chatglm2")
        return RotaryDescription(
            dimensions: headDimension / 2, pairs: .neighbours, base: dividesPositions ? 10_000 : 10_000 * ratio,
            scaling: dividesPositions && ratio != 1 ? .linear(factor: ratio) : .none)
    }

    static func tensors(of d: DecoderDescription) -> DecoderTensors {
        DecoderTensors(
            embedding: "transformer.embedding.word_embeddings.weight", finalNorm: "transformer.encoder.final_layernorm.weight",
            head: "transformer.output_layer.weight", layerPrefix: "transformer.encoder.layers.",
            buffers: ["transformer.rotary_pos_emb.inv_freq"], layer: { index in layer(index, of: d) })
    }

    private static func layer(_ index: Int, of d: DecoderDescription) -> LayerTensors {
        let prefix = "transformer.encoder.layers.\(index)."
        let own = d.layers[index]
        guard case .gated(let width, _, let hasBias) = own.feedForward else { preconditionFailure("the family's layers are gated") }
        func vector(_ name: String) -> TensorSlice { TensorSlice(prefix + name, [d.hiddenSize]) }
        let attention = ProjectionTensors.fused(
            prefix + "self_attention.query_key_value", rows: projectionRows(d), inputs: d.hiddenSize, hasBias: own.attention.hasInputBias)
        let gates = ProjectionTensors.fused(
            prefix + "mlp.dense_h_to_4h", outputs: [width, width], inputs: d.hiddenSize, hasBias: hasBias)
        return LayerTensors(
            normBeforeAttention: vector("input_layernorm.weight"), normBeforeFeedForward: vector("post_attention_layernorm.weight"),
            query: attention[0], key: attention[1], value: attention[2],
            output: ProjectionTensors(
                prefix + "self_attention.dense", outputs: d.hiddenSize, inputs: d.queryHeads * d.headDimension,
                hasBias: own.attention.hasOutputBias),
            feedForward: .gated(
                GatedTensors(
                    gate: gates[0], up: gates[1],
                    down: ProjectionTensors(prefix + "mlp.dense_4h_to_h", outputs: d.hiddenSize, inputs: width, hasBias: hasBias),
                    width: width)))
    }

    /// Of the fused projection: all queries, all keys, all values where heads share keys; else head by head.
    private static func projectionRows(_ d: DecoderDescription) -> [[Int]] {
        let (queries, keyValues) = (d.queryHeads * d.headDimension, d.keyValueHeads * d.headDimension)
        if d.keyValueHeads < d.queryHeads {
            return [Array(0..<queries), Array(queries..<queries + keyValues), Array(queries + keyValues..<queries + 2 * keyValues)]
        }
        return (0..<3).map { part in
            (0..<d.queryHeads).flatMap { head in (0..<d.headDimension).map { (3 * head + part) * d.headDimension + $0 } }
        }
    }
}
