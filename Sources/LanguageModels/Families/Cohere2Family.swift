import AttentionCore
import ModelFormats

/// Command R7B: attention and feed-forward side by side behind one layer norm; layers with a window rotate neighbours, the others mark no
/// positions. Source: its reference implementation in transformers.
enum Cohere2Family: ModelFamily {
    static let modelTypes = ["cohere2"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        for member in ["use_parallel_block", "use_gated_activation", "use_embedding_sharing"] { try config.require(member, true) }
        try config.require("use_qk_norm", false)
        try config.require("rotary_pct", 1.0)
        // Names of what this family always does.
        config.ignore(["position_embedding_type", "order_of_interleaved_layers", "layer_switch", "use_parallel_embedding"])
        var description = try StandardConfig(
            maximumPositions: 8192, pairs: .neighbours, normEpsilonName: "layer_norm_eps", normEpsilon: 1e-5, tiesEmbeddings: true,
            headDimensionFollows: true
        ).describe(config)
        try config.readBiases(into: &description.layers)
        description.norm.removesMean = true
        description.head.scale = try config.number("logit_scale", in: 1e-6...1e6, default: 0.0625)
        let pattern = try config.slidingWindowPattern(default: 4)
        let windowed = try config.layersWithWindow(count: description.layerCount) { ($0 + 1) % pattern != 0 }
        description.setWindow(try config.requiredWindow(default: 4096), in: windowed)
        for index in description.layers.indices {
            description.layers[index].order = .parallel
            if !windowed[index] { description.layers[index].attention.rotary = nil }
        }
        return description
    }
}
