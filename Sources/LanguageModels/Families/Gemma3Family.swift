import AttentionCore
import ModelFormats

/// The text part of Gemma 3: as Gemma 2 without capped scores, with normed queries and keys, five layers with a window before each
/// without, and another rotary base where there is a window. Source: arXiv 2503.19786.
enum Gemma3Family: ModelFamily {
    static let modelTypes = ["gemma3_text"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        let standard = StandardConfig(
            vocabularySize: 262_208, hiddenSize: 2304, layerCount: 26, queryHeads: 8, keyValueHeads: 4, headDimension: 256,
            feedForwardWidth: 9216, maximumPositions: 131_072, rotaryBase: 1_000_000, activationName: "hidden_activation",
            activation: "gelu_pytorch_tanh", tiesEmbeddings: true)
        // Transformers 5 gives each kind of layers its own rotary parameters.
        let hasKinds = try config.part("rope_parameters", isStrict: true)?.names.contains(RotaryFields.fullAttention) ?? false
        if hasKinds { config.ignore(["rope_theta"]) }
        var description = try standard.describe(config, rotary: hasKinds ? .kind(RotaryFields.fullAttention) : .top)
        try config.readGemma(into: &description)
        // transformers reads this setting and does not use it.
        config.ignore(["attn_logit_softcapping"])
        description.head.softCap = try config.softCap("final_logit_softcapping")
        let window = try config.requiredWindow(default: 4096)
        let pattern = try config.slidingWindowPattern(default: 6)
        let windowed = try config.layersWithWindow(count: description.layerCount) { ($0 + 1) % pattern != 0 }
        description.setWindow(window, in: windowed)
        let local = try localRotary(config, standard, hasKinds: hasKinds, description: description)
        for index in description.layers.indices {
            description.layers[index].attention.queryKeyNorm = .perHead
            if windowed[index] { description.layers[index].attention.rotary = local }
        }
        return description
    }

    private static func localRotary(
        _ config: ConfigReader, _ standard: StandardConfig, hasKinds: Bool, description: DecoderDescription
    ) throws(InputError) -> RotaryDescription {
        let base = try config.number("rope_local_base_freq", in: 1...1e12, default: 10_000)
        var local = standard
        local.rotaryBase = base
        guard hasKinds else { return RotaryDescription(dimensions: description.headDimension, base: base) }
        return try local.rotary(
            config, .kind("sliding_attention"), headDimension: description.headDimension, maximumPositions: description.maximumPositions)
    }

    static func tensors(of description: DecoderDescription) -> DecoderTensors { .gemma(description) }
}

extension ConfigReader {
    /// Every so many layers one attends to everything; transformers 5 writes the name with a line before it.
    func slidingWindowPattern(default fallback: Int) throws(InputError) -> Int {
        let member = has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern"
        return try integer(member, in: 1...ModelLimit.layers, default: fallback)
    }
}
