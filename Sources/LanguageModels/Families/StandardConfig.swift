import AttentionCore
import ModelFormats

/// The settings that most families spell alike, with what a family takes for those that a file leaves out.
struct StandardConfig {
    var vocabularySize: Int?
    var hiddenSize: Int?
    var layerCount: Int?
    var queryHeads: Int?
    /// nil: as many as query heads.
    var keyValueHeads: Int?
    /// nil: the hidden size over the query heads.
    var headDimension: Int?
    var feedForwardWidth: Int?
    var maximumPositions = 2048
    /// Before the rotary embedding is stretched; nil: `maximumPositions` of the file.
    var originalPositions: Int?
    var rotaryBase = 10_000.0
    /// Of each head, that is rotated.
    var rotaryShare = 1.0
    var pairs = RotaryDescription.Pairs.halves
    var normEpsilonName = "rms_norm_eps"
    var normEpsilon = 1e-6
    var activationName = "hidden_act"
    var activation = "silu"
    var tiesEmbeddings = false
    /// `head_dim` is never read.
    var headDimensionFollows = false

    /// A decoder whose layers are all alike: base order, no biases, one rotary embedding, no windows.
    func describe(_ config: ConfigReader, rotary source: RotaryFields.Source = .top) throws(InputError) -> DecoderDescription {
        let hiddenSize = try config.integer("hidden_size", in: 1...ModelLimit.width, default: hiddenSize)
        let layerCount = try config.integer("num_hidden_layers", in: 1...ModelLimit.layers, default: layerCount)
        let queryHeads = try config.integer("num_attention_heads", in: 1...ModelLimit.heads, default: queryHeads)
        let keyValueHeads = try Self.keyValueHeads(
            config, "num_key_value_heads", queryHeads: queryHeads,
            // Null says that there are as many as query heads.
            default: config.names.contains("num_key_value_heads") ? queryHeads : min(keyValueHeads ?? queryHeads, queryHeads))
        let headDimension = try self.headDimension(config, hiddenSize: hiddenSize, queryHeads: queryHeads)
        let width = try config.integer("intermediate_size", in: 1...ModelLimit.intermediate, default: feedForwardWidth)
        let vocabularySize = try config.integer("vocab_size", in: 1...ModelLimit.vocabulary, default: vocabularySize)
        let positions = try config.integer("max_position_embeddings", in: 1...ModelLimit.positions, default: maximumPositions)
        let rotary = try self.rotary(config, source, headDimension: headDimension, maximumPositions: positions)
        let layer = LayerDescription(
            attention: AttentionDescription(scoreScale: Self.scoreScale(headDimension), rotary: rotary),
            feedForward: .gated(width: width, activation: try self.activation(config), hasBias: false))
        return DecoderDescription(
            modelType: config.modelType, hiddenSize: hiddenSize, queryHeads: queryHeads, keyValueHeads: keyValueHeads,
            headDimension: headDimension,
            vocabularySize: vocabularySize, maximumPositions: positions,
            norm: NormDescription(epsilon: try config.number(normEpsilonName, in: 0...1, default: normEpsilon)),
            layers: Array(repeating: layer, count: layerCount),
            head: HeadDescription(isTied: try config.bool("tie_word_embeddings", default: tiesEmbeddings)),
            endOfText: try Self.endOfText(config, vocabularySize: vocabularySize))
    }

    func rotary(
        _ config: ConfigReader, _ source: RotaryFields.Source, headDimension: Int, maximumPositions: Int
    ) throws(InputError) -> RotaryDescription {
        let fields = try RotaryFields(
            config, source, defaultBase: rotaryBase, maximumPositions: maximumPositions, defaultOriginal: originalPositions)
        let dimensions = try fields.dimensions(of: headDimension, defaultShare: rotaryShare)
        return RotaryDescription(
            dimensions: dimensions, pairs: pairs, base: fields.base, scaling: try fields.scaling(dimensions: dimensions))
    }

    static func scoreScale(_ headDimension: Int) -> Double { 1 / Double(headDimension).squareRoot() }

    static func keyValueHeads(
        _ config: ConfigReader, _ member: String, queryHeads: Int, default fallback: Int?
    ) throws(InputError) -> Int {
        let heads = try config.integer(member, in: 1...ModelLimit.heads, default: fallback)
        guard queryHeads % heads == 0 else {
            throw config.error(member, "must divide num_attention_heads, \(queryHeads)")
        }
        return heads
    }

    private func headDimension(_ config: ConfigReader, hiddenSize: Int, queryHeads: Int) throws(InputError) -> Int {
        let isGiven = !headDimensionFollows && config.has("head_dim")
        guard isGiven || headDimension != nil || hiddenSize % queryHeads == 0 else {
            throw config.error("hidden_size", "must be a multiple of num_attention_heads, \(queryHeads)")
        }
        let fallback = headDimension ?? hiddenSize / queryHeads
        if headDimensionFollows { config.ignore(["head_dim"]) }
        let dimension = isGiven ? try config.integer("head_dim", in: 1...ModelLimit.width) : fallback
        guard dimension % 2 == 0, dimension <= ModelLimit.headDimension else {
            throw config.error(
                isGiven ? "head_dim" : "hidden_size",
                "the head dimension, \(dimension), must be even and at most \(ModelLimit.headDimension)")
        }
        return dimension
    }

    func activation(_ config: ConfigReader) throws(InputError) -> Activation {
        switch try config.string(activationName, default: activation) {
        case "silu", "swish": return .silu
        case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": return .geluTanh
        case "relu2": return .reluSquared
        default: throw config.error(activationName, "must be silu, gelu_pytorch_tanh or relu2", code: .unsupported)
        }
    }

    /// `eos_token_id`: one id, a list of ids, or nothing.
    static func endOfText(_ config: ConfigReader, vocabularySize: Int) throws(InputError) -> [Int32] {
        guard let value = config.value("eos_token_id") else { return [] }
        var tokens: [Int32] = []
        for element in value.array ?? [value] {
            guard let id = element.integer else { throw config.error("eos_token_id", "must be a token id or a list of them") }
            if 0..<vocabularySize ~= id { tokens.append(Int32(id)) }
        }
        return tokens
    }
}

// MARK: Settings of several families

extension ConfigReader {
    /// `attention_bias`: of all four projections. `mlp_bias`: of the feed-forward.
    func readBiases(into layers: inout [LayerDescription]) throws(InputError) {
        let attention = try bool("attention_bias", default: false)
        let feedForward = try bool("mlp_bias", default: false)
        for index in layers.indices {
            layers[index].attention.hasInputBias = attention
            layers[index].attention.hasOutputBias = attention
            switch layers[index].feedForward {
            case .gated(let width, let activation, _):
                layers[index].feedForward = .gated(width: width, activation: activation, hasBias: feedForward)
            case .plain(let width, let activation, _):
                layers[index].feedForward = .plain(width: width, activation: activation, hasBias: feedForward)
            case .experts: break
            }
        }
    }

    /// `sliding_window`; nil where it is null, which says that there is none. Units: tokens.
    ///
    /// - Parameter fallback: where the file does not name it.
    func window(default fallback: Int?) throws(InputError) -> Int? {
        guard has("sliding_window") else { return names.contains("sliding_window") ? nil : fallback }
        return try integer("sliding_window", in: 1...ModelLimit.positions)
    }

    /// The same of families that always have one.
    ///
    /// - Throws: `InputError` (`invalidData`) where it is null.
    func requiredWindow(default fallback: Int) throws(InputError) -> Int {
        guard let window = try window(default: fallback) else { throw error("sliding_window", "must not be null for this model_type") }
        return window
    }

    /// Which layers have a window: by `layer_types` where that is given, else by a rule.
    func layersWithWindow(count: Int, otherwise rule: (Int) -> Bool) throws(InputError) -> [Bool] {
        let (window, full) = ("sliding_attention", "full_attention")
        guard let types = try strings("layer_types") else { return (0..<count).map(rule) }
        guard types.count == count, types.allSatisfy([window, full].contains) else {
            throw error("layer_types", "must have \(count) entries, each \"\(full)\" or \"\(window)\"", code: .unsupported)
        }
        return types.map { $0 == window }
    }

    /// A cap c > 0 of c · tanh(x / c), or nil.
    func softCap(_ member: String, default fallback: Double? = nil) throws(InputError) -> Double? {
        guard has(member) else { return names.contains(member) ? nil : fallback }
        return try number(member, in: 1e-3...1e6)
    }
}

extension DecoderDescription {
    /// Gives some layers a window.
    mutating func setWindow(_ window: Int?, in isWindowed: [Bool]) {
        for index in layers.indices where isWindowed[index] { layers[index].attention.window = window }
    }
}
