import AttentionCore
import ModelFormats

/// Qwen 3, dense and as mixtures of experts: queries and keys are normed per head. Source: arXiv 2505.09388.
enum Qwen3Family: ModelFamily {
    static let modelTypes = ["qwen3", "qwen3_moe"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        let isMixture = config.modelType == "qwen3_moe"
        // A mixture of experts takes the head dimension from the hidden size where it is not given, a dense model takes 128.
        var description = try StandardConfig(
            keyValueHeads: isMixture ? 4 : 32, headDimension: isMixture ? nil : 128, maximumPositions: 32768
        ).describe(config)
        try config.readBiases(into: &description.layers)
        for index in description.layers.indices { description.layers[index].attention.queryKeyNorm = .perHead }
        if isMixture {
            try readExperts(config, into: &description)
            let isUsed = try config.bool("use_sliding_window", default: false)
            let window = try config.window(default: 4096)
            config.ignore(["max_window_layers"])
            let windowed = try config.layersWithWindow(count: description.layerCount) { _ in true }
            if isUsed { description.setWindow(window, in: windowed) }
        } else {
            try config.readUpperWindows(into: &description)
        }
        return description
    }

    private static func readExperts(_ config: ConfigReader, into description: inout DecoderDescription) throws(InputError) {
        let count = try config.expertCount()
        let experts = ExpertsDescription(
            count: count, active: try config.integer("num_experts_per_tok", in: 1...count, default: min(8, count)),
            width: try config.integer("moe_intermediate_size", in: 1...ModelLimit.intermediate, default: 768),
            activation: try StandardConfig().activation(config), hasBias: false,
            shares: .softmaxOverAll(normalised: try config.bool("norm_topk_prob", default: false)))
        let step = try config.integer("decoder_sparse_step", in: 1...ModelLimit.layers, default: 1)
        let dense = try config.integers("mlp_only_layers", in: 0...ModelLimit.layers) ?? []
        for index in description.layers.indices where !dense.contains(index) && (index + 1) % step == 0 {
            description.layers[index].feedForward = .experts(experts)
        }
    }

}

extension ConfigReader {
    /// `num_experts`, which transformers 5 writes as `num_local_experts`.
    func expertCount() throws(InputError) -> Int {
        let member = has("num_experts") ? "num_experts" : "num_local_experts"
        ignore(["num_experts", "num_local_experts"])
        return try integer(member, in: 1...ModelLimit.experts, default: 128)
    }
}
