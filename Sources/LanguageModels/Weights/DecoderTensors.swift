/// Where the weights of a decoder stand, by the names that its family gives them.
struct DecoderTensors: Sendable {
    /// [vocabulary][hidden].
    var embedding: String
    /// [hidden].
    var finalNorm: String
    /// [vocabulary][hidden]; where the head is the embedding it may be missing.
    var head: String
    /// What the names of the tensors in layers begin with, before the layer's number.
    var layerPrefix: String
    /// Names, or ends of names, of tables that some programs save and that follow from the configuration.
    var buffers: [String] = []
    var layer: @Sendable (_ index: Int) -> LayerTensors

    /// The names of Llama, which most families share.
    ///
    /// - Parameter change: what a family has by other names, given the layer's description and what its tensors' names begin with.
    static func standard(
        _ description: DecoderDescription,
        change: @escaping @Sendable (_ tensors: inout LayerTensors, _ layer: LayerDescription, _ prefix: String) -> Void = { _, _, _ in }
    ) -> DecoderTensors {
        DecoderTensors(
            embedding: "model.embed_tokens.weight", finalNorm: "model.norm.weight", head: "lm_head.weight", layerPrefix: "model.layers.",
            buffers: [".rotary_emb.inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"],
            layer: { index in
                let (layer, prefix) = (description.layers[index], "model.layers.\(index).")
                var tensors = LayerTensors.standard(prefix, description, layer)
                change(&tensors, layer, prefix)
                return tensors
            })
    }
}

/// The tensors of one layer; norms are nil where the layer has none.
struct LayerTensors: Sendable {
    var normBeforeAttention: TensorSlice?
    var normAfterAttention: TensorSlice?
    var normBeforeFeedForward: TensorSlice?
    var normAfterFeedForward: TensorSlice?
    var query, key, value, output: ProjectionTensors
    var queryNorm, keyNorm: TensorSlice?
    var sinks: TensorSlice?
    var feedForward: FeedForwardTensors

    static func standard(_ prefix: String, _ d: DecoderDescription, _ layer: LayerDescription) -> LayerTensors {
        let (hidden, own) = (d.hiddenSize, layer.attention)
        let (queries, keyValues) = (d.queryHeads * d.headDimension, d.keyValueHeads * d.headDimension)
        func projection(_ name: String, _ outputs: Int, _ inputs: Int, hasBias: Bool) -> ProjectionTensors {
            ProjectionTensors(prefix + "self_attn." + name, outputs: outputs, inputs: inputs, hasBias: hasBias)
        }
        var tensors = LayerTensors(
            query: projection("q_proj", queries, hidden, hasBias: own.hasInputBias),
            key: projection("k_proj", keyValues, hidden, hasBias: own.hasInputBias),
            value: projection("v_proj", keyValues, hidden, hasBias: own.hasInputBias),
            output: projection("o_proj", hidden, queries, hasBias: own.hasOutputBias),
            feedForward: .standard(prefix + "mlp.", hidden: hidden, layer.feedForward))
        if layer.order.normsBefore { tensors.normBeforeAttention = TensorSlice(prefix + "input_layernorm.weight", [hidden]) }
        if layer.order.normsBefore, layer.order != .parallel {
            tensors.normBeforeFeedForward = TensorSlice(prefix + "post_attention_layernorm.weight", [hidden])
        }
        if let norm = own.queryKeyNorm {
            tensors.queryNorm = TensorSlice(prefix + "self_attn.q_norm.weight", [norm == .perHead ? d.headDimension : queries])
            tensors.keyNorm = TensorSlice(prefix + "self_attn.k_norm.weight", [norm == .perHead ? d.headDimension : keyValues])
        }
        return tensors
    }

    /// Takes query, key and value from one tensor, in this order.
    mutating func fuseProjections(_ name: String, _ d: DecoderDescription) {
        let (queries, keyValues) = (d.queryHeads * d.headDimension, d.keyValueHeads * d.headDimension)
        let parts = ProjectionTensors.fused(name, outputs: [queries, keyValues, keyValues], inputs: d.hiddenSize)
        (query, key, value) = (parts[0], parts[1], parts[2])
    }

    /// Takes gate and up from one tensor, in this order.
    mutating func fuseGate(_ name: String, hidden: Int) {
        guard case .gated(var gated) = feedForward else { return }
        let parts = ProjectionTensors.fused(name, outputs: [gated.width, gated.width], inputs: hidden)
        (gated.gate, gated.up) = (parts[0], parts[1])
        feedForward = .gated(gated)
    }

    /// The same with the query and key dimensions that are rotated as neighbours put into halves, which is the order the decoder
    /// rotates in. Scores stay what they are, because both change alike.
    func withHalves(_ d: DecoderDescription, _ rotary: RotaryDescription?) -> LayerTensors {
        guard let rotary, rotary.pairs == .neighbours else { return self }
        let half = rotary.dimensions / 2
        let head = (0..<d.headDimension).map { $0 < half ? 2 * $0 : $0 < 2 * half ? 2 * ($0 - half) + 1 : $0 }
        func order(_ heads: Int) -> [Int] { (0..<heads).flatMap { index in head.map { index * d.headDimension + $0 } } }
        var tensors = self
        tensors.query = query.reordered(order(d.queryHeads))
        tensors.key = key.reordered(order(d.keyValueHeads))
        // Of each head's own dimensions, or of all heads'.
        tensors.queryNorm = queryNorm?.reordered(queryNorm!.shape[0] == d.headDimension ? head : order(d.queryHeads))
        tensors.keyNorm = keyNorm?.reordered(keyNorm!.shape[0] == d.headDimension ? head : order(d.keyValueHeads))
        return tensors
    }

    var slices: [TensorSlice] {
        let norms = [normBeforeAttention, normAfterAttention, normBeforeFeedForward, normAfterFeedForward, queryNorm, keyNorm, sinks]
        return norms.compactMap { $0 } + [query, key, value, output].flatMap(\.slices) + feedForward.slices
    }
}

/// The tensors of a gated feed-forward, or of one expert.
struct GatedTensors: Sendable {
    var gate, up, down: ProjectionTensors

    init(gate: ProjectionTensors, up: ProjectionTensors, down: ProjectionTensors, width: Int) {
        self.width = width
        self.gate = gate
        self.up = up
        self.down = down
    }

    /// `prefix` with gate_proj, up_proj and down_proj.
    init(_ prefix: String, hidden: Int, width: Int, hasBias: Bool) {
        self.init(
            gate: ProjectionTensors(prefix + "gate_proj", outputs: width, inputs: hidden, hasBias: hasBias),
            up: ProjectionTensors(prefix + "up_proj", outputs: width, inputs: hidden, hasBias: hasBias),
            down: ProjectionTensors(prefix + "down_proj", outputs: hidden, inputs: width, hasBias: hasBias), width: width)
    }

    /// Elements between up and down.
    let width: Int

    var slices: [TensorSlice] { [gate, up, down].flatMap(\.slices) }
}

/// The tensors of a feed-forward.
enum FeedForwardTensors: Sendable {
    case gated(GatedTensors)
    case plain(up: ProjectionTensors, down: ProjectionTensors)
    case experts(router: ProjectionTensors, [GatedTensors])

    static func standard(_ prefix: String, hidden: Int, _ description: FeedForwardDescription) -> FeedForwardTensors {
        switch description {
        case .gated(let width, _, let hasBias):
            return .gated(GatedTensors(prefix, hidden: hidden, width: width, hasBias: hasBias))
        case .plain(let width, _, let hasBias):
            return .plain(
                up: ProjectionTensors(prefix + "up_proj", outputs: width, inputs: hidden, hasBias: hasBias),
                down: ProjectionTensors(prefix + "down_proj", outputs: hidden, inputs: width, hasBias: hasBias))
        case .experts(let experts):
            return .experts(
                router: ProjectionTensors(prefix + "gate", outputs: experts.count, inputs: hidden, hasBias: experts.hasBias),
                (0..<experts.count).map {
                    GatedTensors(prefix + "experts.\($0).", hidden: hidden, width: experts.width, hasBias: experts.hasBias)
                })
        }
    }

    var slices: [TensorSlice] {
        switch self {
        case .gated(let gated): gated.slices
        case .plain(let up, let down): up.slices + down.slices
        case .experts(let router, let experts): router.slices + experts.flatMap(\.slices)
        }
    }
}
