import AttentionCore

/// The shape of a decoder-only model as its `config.json` gives it, every field checked.
///
/// It does not judge whether `modelType` can be run; `modelType(ofFile:)` lets a caller ask that before the rest is read.
public struct ModelConfiguration: Hashable, Sendable {
    /// `model_type`, such as "llama".
    public let modelType: String
    /// `hidden_size`: the width of the residual stream.
    public let hiddenSize: Int
    /// `num_hidden_layers`.
    public let layerCount: Int
    /// `num_attention_heads`.
    public let queryHeads: Int
    /// `num_key_value_heads`, by default `queryHeads`; divides `queryHeads`.
    public let keyValueHeads: Int
    /// `head_dim`, by default `hiddenSize / queryHeads`; even, because rotary embeddings turn pairs.
    public let headDimension: Int
    /// `intermediate_size`: the width inside the feed-forward layer.
    public let intermediateSize: Int
    /// `vocab_size`: rows of the embedding; may exceed the tokenizer's vocabulary.
    public let vocabularySize: Int
    /// `max_position_embeddings`, by default 2,048. Units: tokens.
    public let maximumPositions: Int
    /// `rope_theta`, by default 10,000.
    public let rotaryBase: Double
    /// `rope_scaling` or `rope_parameters`.
    public let rotaryScaling: RotaryScaling
    /// `rms_norm_eps`, by default 1e-6.
    public let normalizationEpsilon: Double
    /// `hidden_act`, by default "silu".
    public let activation: String
    /// `tie_word_embeddings`, by default false: the output projection is the embedding.
    public let tiesEmbeddings: Bool
    /// `attention_bias`, by default false. Families that imply a bias (Qwen2) do not say so here.
    public let hasAttentionBias: Bool
    /// `mlp_bias`, by default false.
    public let hasFeedForwardBias: Bool
    /// `sliding_window` unless `use_sliding_window` is false. Units: tokens; nil means full attention.
    public let slidingWindow: Int?
    /// `eos_token_id`, one or several; empty when the file names none. Ids outside the vocabulary can never be given and are left
    /// out. `ModelDirectory` takes those of `generation_config.json` in their place, where that names some.
    public internal(set) var endOfText: [Int32]

    /// Upper limits. They are far above any real model and keep every product of extents inside 64 bits.
    enum Limit {
        static let width = 1 << 17
        static let layers = 1 << 10
        static let heads = 1 << 10
        static let headDimension = 1 << 10
        static let intermediate = 1 << 20
        static let vocabulary = 1 << 22
        static let positions = 1 << 27
    }

    /// Reads the file at `path`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when it cannot be read; `invalidData` for a missing,
    ///   ill-typed or out-of-range field; `unsupported` for settings that would change what the model computes and are
    ///   not known here (quantised weights, other rotary scalings).
    public init(path: String) throws(InputError) {
        try self.init(JSONFields(contentsOf: path))
    }

    /// Reads `text`, the contents of a `config.json`; `file` names it in errors. Throws as `init(path:)`.
    public init(parsing text: String, file: String = "config.json") throws(InputError) {
        let bytes = Array(text.utf8)
        let object = try bytes.withUnsafeBufferPointer { buffer throws(InputError) in
            try JSONParser.object(UnsafeRawBufferPointer(buffer), file: file)
        }
        try self.init(JSONFields(object, file: file))
    }

    /// The `model_type` of the file at `path`, whatever else the file holds. Throws as `init(path:)`.
    public static func modelType(ofFile path: String) throws(InputError) -> String {
        try JSONFields(contentsOf: path).string("model_type")
    }

    private init(_ fields: JSONFields) throws(InputError) {
        modelType = try fields.string("model_type")
        // The second is how MLX spells it.
        for member in ["quantization_config", "quantization"] where fields.value(member) != nil {
            throw fields.error(member, "quantised weights are not supported", code: .unsupported)
        }
        hiddenSize = try fields.integer("hidden_size", in: 1...Limit.width)
        layerCount = try fields.integer("num_hidden_layers", in: 1...Limit.layers)
        queryHeads = try fields.integer("num_attention_heads", in: 1...Limit.heads)
        keyValueHeads = try Self.keyValueHeads(fields, queryHeads: queryHeads)
        headDimension = try Self.headDimension(fields, hiddenSize: hiddenSize, queryHeads: queryHeads)
        intermediateSize = try fields.integer("intermediate_size", in: 1...Limit.intermediate)
        vocabularySize = try fields.integer("vocab_size", in: 1...Limit.vocabulary)
        maximumPositions = try fields.integer("max_position_embeddings", in: 1...Limit.positions, default: 2048)
        let rotary = try RotaryFields(fields, maximumPositions: maximumPositions)
        rotaryBase = rotary.base
        rotaryScaling = rotary.scaling
        normalizationEpsilon = try fields.number("rms_norm_eps", in: 0...1, default: 1e-6)
        activation = try fields.string("hidden_act", default: "silu")
        tiesEmbeddings = try fields.bool("tie_word_embeddings", default: false)
        hasAttentionBias = try fields.bool("attention_bias", default: false)
        hasFeedForwardBias = try fields.bool("mlp_bias", default: false)
        slidingWindow = try Self.slidingWindow(fields)
        endOfText = try Self.endOfText(fields, vocabularySize: vocabularySize)
    }
}

// MARK: - Fields that depend on others

extension ModelConfiguration {
    private static func keyValueHeads(_ fields: JSONFields, queryHeads: Int) throws(InputError) -> Int {
        let heads = try fields.integer("num_key_value_heads", in: 1...Limit.heads, default: queryHeads)
        guard queryHeads % heads == 0 else {
            throw fields.error("num_key_value_heads", "must divide num_attention_heads, \(queryHeads)")
        }
        return heads
    }

    private static func headDimension(
        _ fields: JSONFields, hiddenSize: Int, queryHeads: Int
    ) throws(InputError) -> Int {
        guard fields.value("head_dim") != nil || hiddenSize % queryHeads == 0 else {
            throw fields.error("hidden_size", "must be a multiple of num_attention_heads, \(queryHeads)")
        }
        let member = fields.value("head_dim") == nil ? "hidden_size" : "head_dim"
        let dimension = try fields.integer("head_dim", in: 1...Limit.width, default: hiddenSize / queryHeads)
        guard dimension % 2 == 0, dimension <= Limit.headDimension else {
            throw fields.error(member, "the head dimension, \(dimension), must be even and at most \(Limit.headDimension)")
        }
        return dimension
    }

    private static func slidingWindow(_ fields: JSONFields) throws(InputError) -> Int? {
        let isUsed = try fields.bool("use_sliding_window", default: true)
        guard isUsed, fields.value("sliding_window") != nil else { return nil }
        return try fields.integer("sliding_window", in: 1...Limit.positions)
    }

    /// `eos_token_id` of a file: one id, a list of ids, or nothing.
    static func endOfText(_ fields: JSONFields, vocabularySize: Int) throws(InputError) -> [Int32] {
        guard let value = fields.value("eos_token_id") else { return [] }
        var tokens: [Int32] = []
        for element in value.array ?? [value] {
            guard let id = element.integer else { throw fields.error("eos_token_id", "must be a token id or a list of them") }
            if 0..<vocabularySize ~= id { tokens.append(Int32(id)) }
        }
        return tokens
    }
}
