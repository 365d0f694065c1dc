import AttentionCore
import ModelFormats

/// Reads the members of a `config.json` and remembers which ones it was asked for, so that a setting that nobody read cannot change what
/// the model computes in silence.
final class ConfigReader {
    /// `model_type`, or for a part that does not say what its family takes it for.
    let modelType: String
    private let fields: JSONFields
    /// Every member must be read, whatever its name.
    private let isStrict: Bool
    private var asked: Set<String>
    private var parts: [String: ConfigReader] = [:]

    init(_ fields: JSONFields, modelType: String = "", isStrict: Bool = false) {
        self.modelType = modelType
        self.fields = fields
        asked = ["model_type"]
        self.isStrict = isStrict
    }

    var file: String { fields.file }
    var names: [String] { fields.object.members.map(\.name) }

    /// An error about `member` and the value it has.
    func error(_ member: String, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
        fields.error(member, rule, code: code)
    }

    /// True when `member` is there and not null.
    func has(_ member: String) -> Bool { value(member) != nil }

    func value(_ member: String) -> JSONValue? {
        asked.insert(member)
        return fields.value(member)
    }

    func integer(_ member: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(InputError) -> Int {
        asked.insert(member)
        return try fields.integer(member, in: range, default: fallback)
    }

    func number(_ member: String, in range: ClosedRange<Double>, default fallback: Double? = nil) throws(InputError) -> Double {
        asked.insert(member)
        return try fields.number(member, in: range, default: fallback)
    }

    func bool(_ member: String, default fallback: Bool) throws(InputError) -> Bool {
        asked.insert(member)
        return try fields.bool(member, default: fallback)
    }

    func string(_ member: String, default fallback: String? = nil) throws(InputError) -> String {
        asked.insert(member)
        return try fields.string(member, default: fallback)
    }

    /// The numbers of a list, or nil when it is absent.
    func numbers(_ member: String, in range: ClosedRange<Double>) throws(InputError) -> [Double]? {
        guard let value = value(member) else { return nil }
        let numbers = value.array?.map { $0.number ?? .nan }
        guard let numbers, numbers.allSatisfy(range.contains) else {
            throw error(member, "must be a list of numbers from \(range.lowerBound) to \(range.upperBound)")
        }
        return numbers
    }

    /// The whole numbers of a list, or nil when it is absent.
    func integers(_ member: String, in range: ClosedRange<Int>) throws(InputError) -> [Int]? {
        guard let value = value(member) else { return nil }
        guard let values = value.array?.map(\.integer), values.allSatisfy({ $0.map(range.contains) ?? false }) else {
            throw error(member, "must be a list of integers in \(range.lowerBound)...\(range.upperBound)")
        }
        return values.map { $0! }
    }

    /// The texts of a list, or nil when it is absent.
    func strings(_ member: String) throws(InputError) -> [String]? {
        guard let value = value(member) else { return nil }
        guard let values = value.array?.map(\.string), !values.contains(nil) else { throw error(member, "must be a list of texts") }
        return values.map { $0! }
    }

    /// A reader of the object `member`, or nil when it is absent; what it does not read counts as not read here.
    ///
    /// - Parameter isStrict: every member of the part must be read, whatever its name.
    func part(_ member: String, isStrict: Bool = false) throws(InputError) -> ConfigReader? {
        asked.insert(member)
        if let known = parts[member] { return known }
        guard let fields = try fields.fields(member) else { return nil }
        let part = ConfigReader(fields, isStrict: isStrict)
        parts[member] = part
        return part
    }

    /// Says that members need not be read.
    func ignore(_ members: some Sequence<String>) { asked.formUnion(members) }

    /// A setting that this version knows one value of.
    ///
    /// - Throws: `InputError` (`unsupported`) when it has another one.
    func require(_ member: String, _ expected: Bool) throws(InputError) {
        guard try bool(member, default: expected) == expected else {
            throw error(member, "must be \(expected)", code: .unsupported)
        }
    }

    /// As above, of numbers.
    func require(_ member: String, _ expected: Double) throws(InputError) {
        guard try number(member, in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude, default: expected) == expected else {
            throw error(member, "must be \(expected)", code: .unsupported)
        }
    }

    // MARK: What nobody read

    /// Parts of the names of settings that say how a decoder computes.
    private static let computing = [
        "rope", "rotary", "scal", "norm", "bias", "window", "attn", "attention", "attend", "expert", "moe", "router", "act", "head",
        "cap", "alibi", "position", "residual", "multiplier", "sink", "layer", "mlp", "ffn", "embed", "group", "interleav", "clamp",
        "alpha", "clip", "ntk", "lora", "theta", "limit", "qkv", "mamba", "ssm", "conv", "dynamic", "parallel", "logn", "altup", "laurel",
        "query", "key", "temperature", "sparse", "shared", "quant",
    ]
    /// Settings of training, of running and of other parts, whose names hold such a part all the same.
    private static let harmless: Set = [
        "attn_implementation", "tensor_parallel", "sequence_parallel", "transformers.js_config", "output_attentions",
        "attention_softmax_in_fp32",
        "router_aux_loss_coef", "router_z_loss_coef", "output_router_logits", "router_jitter_noise", "cache_implementation",
        "is_llama_config",
        "pretraining_tp", "initializer_range", "fp32_residual_connection", "apply_query_key_layer_scaling", "architectures",
        "attn_implementation_autoset", "pruned_heads", "gradient_checkpointing", "rescale_every", "fused_rms_norm", "recompute",
        "cross_attention_hidden_size", "add_cross_attention", "use_flash_attention", "use_flash_attn", "flash_attn", "task_specific_params",
        "task", "is_decoder", "is_encoder_decoder", "tie_encoder_decoder", "prefix_projection", "classifier_dropout", "problem_type",
        "max_position_embeddings", "unsloth_fixed", "unsloth_version", "chunk_size_feed_forward", "exponential_decay_length_penalty",
        "tokenizer_class",
    ]

    /// - Throws: `InputError` (`unsupported`) for a setting that nobody read, whose name says that it changes what a decoder computes, and
    ///   which is not off.
    func checkAllIsRead() throws(InputError) {
        for (name, value) in fields.object.members
        where !asked.contains(name) && !Self.isOff(value) && (isStrict || Self.isOfComputing(name)) {
            throw error(name, "this setting is not supported", code: .unsupported)
        }
        for (_, part) in parts.sorted(by: { $0.key < $1.key }) { try part.checkAllIsRead() }
    }

    private static func isOfComputing(_ name: String) -> Bool {
        guard !name.hasPrefix("_"), !harmless.contains(name), !name.contains("dropout"), !name.contains("pdrop"),
            !name.hasSuffix("_token_id")
        else { return false }
        return computing.contains { name.lowercased().contains($0) }
    }

    /// Values that say that something is not there.
    private static func isOff(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool(false), .integer(0), .string(""): true
        case .number(let number): number == 0
        case .array(let values): values.isEmpty
        case .object(let object): object.members.isEmpty
        default: false
        }
    }
}
