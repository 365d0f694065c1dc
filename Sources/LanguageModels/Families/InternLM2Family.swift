import AttentionCore

/// InternLM 2 and 2.5: a Llama by other names, with the projections of each group of heads fused. Source: arXiv 2403.17297.
enum InternLM2Family: ModelFamily {
    static let modelTypes = ["internlm2"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(headDimensionFollows: true).describe(config)
        let hasBias = try config.bool("bias", default: true)
        for index in description.layers.indices {
            description.layers[index].attention.hasInputBias = hasBias
            description.layers[index].attention.hasOutputBias = hasBias
            switch description.layers[index].attention.rotary?.scaling {
            case nil, .some(.none), .linear, .dynamic: break
            default: throw config.error("rope_scaling", "must be linear or dynamic for this model_type", code: .unsupported)
            }
        }
        return description
    }

    static func tensors(of d: DecoderDescription) -> DecoderTensors {
        DecoderTensors(
            embedding: "model.tok_embeddings.weight", finalNorm: "model.norm.weight", head: "output.weight", layerPrefix: "model.layers.",
            layer: { index in layer(index, of: d) })
    }

    private static func layer(_ index: Int, of d: DecoderDescription) -> LayerTensors {
        let prefix = "model.layers.\(index)."
        let attention = d.layers[index].attention
        func vector(_ name: String) -> TensorSlice { TensorSlice(prefix + name, [d.hiddenSize]) }
        // Of each group: its query heads, then its key head, then its value head.
        let groupSize = d.queryHeads / d.keyValueHeads
        let rows = (groupSize + 2) * d.headDimension
        func heads(_ first: Int, _ count: Int) -> [Int] {
            (0..<d.keyValueHeads).flatMap { group in
                (0..<count * d.headDimension).map { group * rows + first * d.headDimension + $0 }
            }
        }
        func slice(_ end: String, _ shape: [Int], _ first: Int, _ count: Int) -> TensorSlice {
            TensorSlice(prefix + "attention.wqkv." + end, [d.keyValueHeads * rows] + shape, .rows(heads(first, count)))
        }
        func projection(_ first: Int, _ count: Int) -> ProjectionTensors {
            ProjectionTensors(
                weight: slice("weight", [d.hiddenSize], first, count),
                bias: attention.hasInputBias ? slice("bias", [], first, count) : nil)
        }
        let width = d.layers[index].feedForward.width
        return LayerTensors(
            normBeforeAttention: vector("attention_norm.weight"), normBeforeFeedForward: vector("ffn_norm.weight"),
            query: projection(0, groupSize), key: projection(groupSize, 1), value: projection(groupSize + 1, 1),
            output: ProjectionTensors(
                prefix + "attention.wo", outputs: d.hiddenSize, inputs: d.queryHeads * d.headDimension, hasBias: attention.hasOutputBias),
            feedForward: .gated(
                GatedTensors(
                    gate: ProjectionTensors(prefix + "feed_forward.w1", outputs: width, inputs: d.hiddenSize),
                    up: ProjectionTensors(prefix + "feed_forward.w3", outputs: width, inputs: d.hiddenSize),
                    down: ProjectionTensors(prefix + "feed_forward.w2", outputs: d.hiddenSize, inputs: width), width: width)))
    }
}
