import AttentionCore

/// The `config.json` that a GGUF model would have on the Hugging Face hub, from its metadata and its tensors.
struct GGUFConfiguration {
    typealias Member = (name: String, value: JSONValue)
    private typealias Limit = ModelLimit

    let archive: GGUFArchive
    let heads: GGUFHeads
    let hiddenSize, layerCount, headDimension, vocabularySize, contextLength: Int

    private var metadata: GGUFMetadata { archive.metadata }

    /// - Throws: `InputError`: `invalidData` for a missing, ill-typed or out-of-range value; `unsupported` for settings that would change
    ///   what the model computes and that have no counterpart.
    init(_ archive: GGUFArchive) throws(InputError) {
        let (metadata, prefix) = (archive.metadata, archive.architecture.name + ".")
        self.archive = archive
        heads = archive.heads
        hiddenSize = try metadata.integer(prefix + "embedding_length", in: 1...Limit.width)
        layerCount = try metadata.integer(prefix + "block_count", in: 1...Limit.layers)
        contextLength = try metadata.integer(prefix + "context_length", in: 1...Limit.positions)
        headDimension = try metadata.headDimension(prefix, hiddenSize: hiddenSize, heads: heads)
        let shape = try archive.shape(of: "model.embed_tokens.weight")
        guard shape.count == 2, shape[1] == hiddenSize else {
            throw InputError(
                .invalidData, file: archive.listing, field: "token_embd.weight", value: "\(shape)",
                rule: "must have rows of \(prefix)embedding_length, \(hiddenSize)")
        }
        vocabularySize = shape[0]
        try metadata.checkHasNoOther(prefix)
    }

    /// The members of the `config.json`, as fields of the model's file.
    func fields() throws(InputError) -> JSONFields {
        var members: [Member] = [
            ("model_type", .string(archive.architecture.modelType)), ("hidden_size", .integer(hiddenSize)),
            ("num_hidden_layers", .integer(layerCount)), ("num_attention_heads", .integer(heads.query)),
            ("num_key_value_heads", .integer(heads.keyValue)), ("head_dim", .integer(headDimension)),
            ("intermediate_size", .integer(try metadata.layersInteger(key("feed_forward_length"), in: 1...Limit.intermediate))),
            ("vocab_size", .integer(vocabularySize)), ("max_position_embeddings", .integer(contextLength)),
            ("rms_norm_eps", .number(try metadata.number(key("attention.layer_norm_rms_epsilon"), in: 0...1))),
            ("tie_word_embeddings", .bool(!archive.contains("lm_head.weight"))),
        ]
        members += try GGUFRotary(self).members
        members += try tokens()
        members += try archive.architecture.settings(self)
        return JSONFields(JSONObject(members: members), file: archive.listing)
    }

    func key(_ name: String) -> String { archive.architecture.name + "." + name }

    func has(_ name: String) -> Bool { metadata.value(key(name)) != nil }

    func number(_ name: String, in range: ClosedRange<Double>, default fallback: Double? = nil) throws(InputError) -> Double {
        try metadata.number(key(name), in: range, default: fallback)
    }

    func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(InputError) -> Int {
        try metadata.integer(key(name), in: range, default: fallback)
    }

    func string(_ name: String) throws(InputError) -> String { try metadata.string(key(name)) }

    func error(_ name: String, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
        metadata.error(key(name), rule, code: code)
    }

    /// Begin- and end-of-text. Answers also end with what ends a turn or asks for a tool, where the file names such tokens.
    private func tokens() throws(InputError) -> [Member] {
        var members: [Member] = []
        if let begin = try metadata.tokenID("bos_token_id") { members.append(("bos_token_id", .integer(begin))) }
        var ends: [Int] = []
        for name in ["eos_token_id", "eot_token_id", "eom_token_id"] {
            if let end = try metadata.tokenID(name), !ends.contains(end) { ends.append(end) }
        }
        if !ends.isEmpty { members.append(("eos_token_id", ends.count == 1 ? .integer(ends[0]) : .array(ends.map { .integer($0) }))) }
        return members
    }
}

// MARK: - Settings of some architectures

extension GGUFConfiguration {
    /// Whether the layers of an architecture that may have them have biases.
    var biases: [Member] {
        [
            ("attention_bias", .bool(archive.contains("model.layers.0.self_attn.q_proj.bias"))),
            ("mlp_bias", .bool(archive.contains("model.layers.0.mlp.down_proj.bias"))),
        ]
    }

    /// What models have in common whose layers all see everything. Converters write no window for these architectures, and llama.cpp would
    /// not heed one.
    func fullAttention() throws(InputError) -> [Member] {
        guard try integer("attention.sliding_window", in: 0...Limit.positions, default: 0) == 0 else {
            throw error("attention.sliding_window", "this architecture has no sliding window", code: .unsupported)
        }
        return [("hidden_act", .string("silu"))]
    }

    /// What Gemma models have in common. Scores are divided by the root of the head's dimension but in the largest model, which is known by
    /// its layers: there by that of the hidden size's share of a head.
    func gemma(largestLayerCount: Int) throws(InputError) -> [Member] {
        let scalar = layerCount == largestLayerCount ? hiddenSize / heads.query : headDimension
        return [
            ("hidden_act", .string("gelu_pytorch_tanh")), ("hidden_activation", .string("gelu_pytorch_tanh")),
            ("query_pre_attn_scalar", .integer(scalar)), ("attention_bias", .bool(false)),
        ]
    }

    func slidingWindow(default fallback: Int?) throws(InputError) -> Int {
        try integer("attention.sliding_window", in: 1...Limit.positions, default: fallback)
    }

    /// The distance of layers without a window.
    func slidingWindowPattern(default fallback: Int) throws(InputError) -> Int {
        try integer("attention.sliding_window_pattern", in: 1...Limit.layers, default: fallback)
    }

    /// A bound of logits, or null where there is none.
    func cap(_ name: String, default fallback: Double?) throws(InputError) -> JSONValue {
        guard has(name) || fallback != nil else { return .null }
        let cap = try number(name, in: 0...1e6, default: fallback)
        return cap == 0 ? .null : .number(cap)
    }
}

extension GGUFHeads {
    init(_ metadata: GGUFMetadata, architecture: String) throws(InputError) {
        let limits = 1...ModelLimit.heads
        query = try metadata.layersInteger(architecture + ".attention.head_count", in: limits)
        keyValue = try metadata.layersInteger(architecture + ".attention.head_count_kv", in: limits, default: query)
    }
}

extension GGUFMetadata {
    /// An integer that may stand there once for each layer, and must then be the same for all.
    fileprivate func layersInteger(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(InputError) -> Int {
        guard value(key)?.array != nil, let values = try integers(key), let first = values.first else {
            return try integer(key, in: range, default: fallback)
        }
        guard values.allSatisfy({ $0 == first }) else {
            throw error(key, "layers that differ are not supported", code: .unsupported)
        }
        guard range.contains(first) else { throw error(key, "must be integers in \(range.lowerBound)...\(range.upperBound)") }
        return first
    }

    fileprivate func headDimension(_ prefix: String, hiddenSize: Int, heads: GGUFHeads) throws(InputError) -> Int {
        let (keyName, valueName) = (prefix + "attention.key_length", prefix + "attention.value_length")
        guard value(keyName) != nil || hiddenSize % heads.query == 0 else {
            throw error(prefix + "embedding_length", "must be a multiple of attention.head_count, \(heads.query)")
        }
        let limits = 1...ModelLimit.width
        let dimension = try integer(keyName, in: limits, default: hiddenSize / heads.query)
        guard try integer(valueName, in: limits, default: dimension) == dimension else {
            throw error(valueName, "values that are not as long as keys, \(dimension), are not supported", code: .unsupported)
        }
        return dimension
    }

    /// A token of the vocabulary, or nil when the file names none: the key is absent, or −1.
    func tokenID(_ name: String) throws(InputError) -> Int? {
        let key = "tokenizer.ggml." + name
        guard value(key) != nil else { return nil }
        let id = try integer(key, in: -1...Int(UInt32.max))
        return id == -1 || id == Int(UInt32.max) ? nil : id
    }

    /// Settings that are read, of any architecture.
    private static let known: Set = [
        "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
        "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window",
        "attention.causal", "rope.freq_base", "rope.dimension_count", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor",
        "rope.scaling.original_context_length", "rope.scaling.attn_factor", "rope.scaling.yarn_ext_factor",
        "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", "rope.scaling.yarn_log_multiplier",
        "logit_scale", "embedding_scale", "residual_scale", "attention.scale", "attention.clamp_kqv",
    ]
    private static let knownOfGemma: Set = [
        "attention.sliding_window_pattern", "attn_logit_softcapping", "final_logit_softcapping", "rope.freq_base_swa",
    ]
    /// Settings that say what is known without them, or nothing about what is computed.
    private static let withoutEffect: Set = [
        "vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "expert_count", "expert_used_count", "attention.layer_norm_epsilon",
    ]

    /// Values that say that something is not there.
    private func isOff(_ key: String) -> Bool {
        guard let value = value(key) else { return true }
        return value.number == 0 || value.bool == false || value.string == ""
    }

    /// Settings that other models of an architecture have, and that change what is computed; some converters write them with values that
    /// do nothing.
    fileprivate func checkHasNoOther(_ prefix: String) throws(InputError) {
        for name in ["expert_count", "logit_scale", "embedding_scale", "residual_scale", "attention.scale", "attention.clamp_kqv"] {
            guard let number = value(prefix + name)?.number, number != 0, name.hasSuffix("count") || number != 1 else { continue }
            throw error(prefix + name, "this setting is not supported", code: .unsupported)
        }
        if try bool(prefix + "attention.causal") == false {
            throw error(prefix + "attention.causal", "only causal attention is supported", code: .unsupported)
        }
        for key in keys where key.hasPrefix(prefix) {
            let name = String(key.dropFirst(prefix.count))
            let isKnown =
                Self.known.contains(name) || Self.withoutEffect.contains(name)
                || prefix.hasPrefix("gemma") && Self.knownOfGemma.contains(name)
            if !isKnown, !isOff(key) { throw error(key, "this setting is not supported", code: .unsupported) }
        }
    }
}
