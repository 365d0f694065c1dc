import AttentionCore
import ModelFormats

/// gpt-oss: sink logits, a window in every other layer, a mixture of clamped experts. Source: arXiv 2508.10925.
enum GPTOSSFamily: ModelFamily {
    static let modelTypes = ["gpt_oss"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        try RotaryFields.require(config)
        // Other names of settings that stand there too.
        config.ignore(["initial_context_length", "experts_per_token"])
        var description = try StandardConfig(
            keyValueHeads: 8, headDimension: 64, maximumPositions: 131_072, rotaryBase: 150_000, normEpsilon: 1e-5
        ).describe(config)
        let hasBias = try config.bool("attention_bias", default: true)
        let count = try config.expertCount()
        let experts = ExpertsDescription(
            count: count, active: try config.integer("num_experts_per_tok", in: 1...count, default: min(4, count)),
            width: description.widestFeedForward,
            activation: .clampedSwish(
                slope: Float(try config.number("swiglu_alpha", in: 1e-3...1e3, default: 1.702)),
                limit: Float(try config.number("swiglu_limit", in: 1e-3...1e6, default: 7))),
            hasBias: true, shares: .softmaxOverActive)
        for index in description.layers.indices {
            description.layers[index].attention.hasInputBias = hasBias
            description.layers[index].attention.hasOutputBias = hasBias
            description.layers[index].attention.hasSinks = true
            description.layers[index].feedForward = .experts(experts)
        }
        let window = try config.requiredWindow(default: 128)
        description.setWindow(window, in: try config.layersWithWindow(count: description.layerCount) { $0 % 2 == 0 })
        return description
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors {
        let (hidden, heads) = (description.hiddenSize, description.queryHeads)
        return .standard(description) { tensors, layer, prefix in
            tensors.sinks = TensorSlice(prefix + "self_attn.sinks", [heads])
            guard case .experts(let experts) = layer.feedForward else { return }
            let (count, width) = (experts.count, experts.width)
            let all = prefix + "mlp.experts."
            // Stored inputs first; gate and up are the even and the odd columns.
            func columns(_ name: String, _ expert: Int, rows: Int, of columns: Int, from first: Int, step: Int) -> ProjectionTensors {
                ProjectionTensors(
                    weight: TensorSlice(
                        all + name, [count, rows, columns], .columns(ofRows: expert * rows..<(expert + 1) * rows, first: first, step: step)),
                    bias: TensorSlice(
                        all + name + "_bias", [count, columns], .columns(ofRows: expert..<expert + 1, first: first, step: step)))
            }
            tensors.feedForward = .experts(
                router: ProjectionTensors(prefix + "mlp.router", outputs: count, inputs: hidden, hasBias: true),
                (0..<count).map { expert in
                    GatedTensors(
                        gate: columns("gate_up_proj", expert, rows: hidden, of: 2 * width, from: 0, step: 2),
                        up: columns("gate_up_proj", expert, rows: hidden, of: 2 * width, from: 1, step: 2),
                        down: columns("down_proj", expert, rows: width, of: hidden, from: 0, step: 1), width: width)
                })
        }
    }
}
