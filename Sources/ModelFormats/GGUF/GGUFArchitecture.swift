import AttentionCore

/// What is particular to the files of one architecture: how its tensors are called on the Hugging Face hub, and what the conversion to GGUF
/// has done to them.
///
/// Source: the conversion scripts of llama.cpp, and of its loader what is not in the files.
struct GGUFArchitecture: Sendable {
    /// `general.architecture`, which also begins its keys.
    let name: String
    /// `model_type` in a `config.json`.
    let modelType: String
    /// The parts of a layer: in the file "blk.N." and the key, on the hub "model.layers.N." and the value.
    let parts: [String: String]
    /// True when the rows of queries and keys are reordered within each head, see `GGUFRowOrder`.
    let isPermuted: Bool
    /// What the file's norm weights exceed the hub's by.
    let normOffset: Float
    /// What its `config.json` has beyond that of every model.
    let settings: @Sendable (GGUFConfiguration) throws(InputError) -> [(name: String, value: JSONValue)]

    static let all = [llama, qwen2, qwen3, gemma2, gemma3]

    private static let commonParts = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    ]
    private static let headNorms = ["attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"]
    private static let norms = [
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ]

    private static let llama = GGUFArchitecture(
        name: "llama", modelType: "llama", parts: commonParts, isPermuted: true, normOffset: 0
    ) { file throws(InputError) in
        try file.fullAttention() + file.biases
    }

    private static let qwen2 = GGUFArchitecture(
        name: "qwen2", modelType: "qwen2", parts: commonParts, isPermuted: false, normOffset: 0
    ) { file throws(InputError) in
        try file.fullAttention()
    }

    private static let qwen3 = GGUFArchitecture(
        name: "qwen3", modelType: "qwen3", parts: commonParts.merging(headNorms) { $1 }, isPermuted: false, normOffset: 0
    ) { file throws(InputError) in
        try file.fullAttention() + file.biases
    }

    /// The windows are on every other layer; llama.cpp's values stand in for what old files lack.
    private static let gemma2 = GGUFArchitecture(
        name: "gemma2", modelType: "gemma2", parts: commonParts.merging(norms) { $1 }, isPermuted: false, normOffset: 1
    ) { file throws(InputError) in
        try file.gemma(largestLayerCount: 46) + [
            ("sliding_window", .integer(try file.slidingWindow(default: 4096))),
            ("attn_logit_softcapping", try file.cap("attn_logit_softcapping", default: 50)),
            ("final_logit_softcapping", try file.cap("final_logit_softcapping", default: 30)),
        ]
    }

    /// Every sixth layer sees everything, and the others have a rotary base of their own; neither is in the files.
    private static let gemma3 = GGUFArchitecture(
        name: "gemma3", modelType: "gemma3_text", parts: commonParts.merging(norms) { $1 }.merging(headNorms) { $1 }, isPermuted: false,
        normOffset: 1
    ) { file throws(InputError) in
        try file.gemma(largestLayerCount: 62) + [
            ("sliding_window", .integer(try file.slidingWindow(default: nil))),
            ("sliding_window_pattern", .integer(try file.slidingWindowPattern(default: 6))),
            ("rope_local_base_freq", .number(try file.number("rope.freq_base_swa", in: 1...1e12, default: 10_000))),
            ("attn_logit_softcapping", .null), ("final_logit_softcapping", try file.cap("final_logit_softcapping", default: nil)),
        ]
    }

    /// The architecture that `metadata` names.
    ///
    /// - Throws: `InputError` (`unsupported`), which lists those that are known; also for files that hold no model, such as an adapter.
    static func named(in metadata: GGUFMetadata) throws(InputError) -> GGUFArchitecture {
        let kind = "general.type"
        guard metadata.value(kind) == nil || metadata.value(kind)?.string == "model" else {
            throw metadata.error(kind, "must be \"model\": a file of another kind is no model by itself", code: .unsupported)
        }
        let key = "general.architecture"
        let name = try metadata.string(key)
        guard let architecture = all.first(where: { $0.name == name }) else {
            throw metadata.error(key, "must be one of \(all.map(\.name).joined(separator: ", "))", code: .unsupported)
        }
        return architecture
    }
}

// MARK: - Names

extension GGUFArchitecture {
    private static let outside = [
        "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight",
        "output.bias": "lm_head.bias",
    ]
    /// Tables that the configuration takes in, see `GGUFRotary`.
    static let (rotaryFactors, shortRotaryFactors, longRotaryFactors) = (
        "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"
    )

    /// A tensor's name on the hub, or nil for a table that the configuration takes in.
    ///
    /// A part of a layer that is not known keeps its name behind "model.layers.N.", so that it is seen to be left over in that layer; any
    /// other tensor keeps its name.
    func hubName(_ name: String) -> String? {
        if [Self.rotaryFactors, Self.shortRotaryFactors, Self.longRotaryFactors].contains(name) { return nil }
        if let outside = Self.outside[name] { return outside }
        guard let (layer, part, ending) = Self.layerPart(name) else { return name }
        return "model.layers.\(layer).\(parts[part] ?? part)\(ending)"
    }

    /// "blk.3.attn_q.weight" as "3", "attn_q" and ".weight".
    private static func layerPart(_ name: String) -> (layer: Substring, part: String, ending: Substring)? {
        let pieces = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count == 3, pieces[0] == "blk", !pieces[1].isEmpty, pieces[1].utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
            return nil
        }
        let end = pieces[2].lastIndex(of: ".") ?? pieces[2].endIndex
        return (pieces[1], String(pieces[2][..<end]), pieces[2][end...])
    }

    /// What is to be done to a tensor's numbers, from its name in the file.
    func change(of name: String, heads: GGUFHeads) -> GGUFTensorChange {
        let part = Self.layerPart(name)?.part
        switch part {
        case "attn_q" where isPermuted: return .init(permutedHeads: heads.query)
        case "attn_k" where isPermuted: return .init(permutedHeads: heads.keyValue)
        default:
            let isNorm = (part ?? String(name.prefix { $0 != "." })).hasSuffix("norm") && name.hasSuffix(".weight")
            return .init(offset: isNorm ? normOffset : 0)
        }
    }
}
