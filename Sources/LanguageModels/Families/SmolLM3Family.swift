import AttentionCore
import ModelFormats

/// SmolLM 3: a Llama in which some layers do not mark positions. Source: its model card; NoPE (arXiv 2501.18795).
enum SmolLM3Family: ModelFamily {
    static let modelTypes = ["smollm3"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(
            keyValueHeads: 4, maximumPositions: 32768, rotaryBase: 2_000_000, tiesEmbeddings: true
        ).describe(config)
        try config.readBiases(into: &description.layers)
        let count = description.layerCount
        let interval = try config.integer("no_rope_layer_interval", in: 1...ModelLimit.layers, default: 4)
        // 1 where positions are marked, contrary to the member's name.
        let rotated = try config.integers("no_rope_layers", in: 0...1) ?? (0..<count).map { ($0 + 1) % interval == 0 ? 0 : 1 }
        guard rotated.count == count else { throw config.error("no_rope_layers", "must have \(count) entries") }
        for index in description.layers.indices where rotated[index] == 0 { description.layers[index].attention.rotary = nil }
        let isUsed = try config.bool("use_sliding_window", default: false)
        let window = try config.window(default: nil)
        let windowed = try config.layersWithWindow(count: count) { isUsed && rotated[$0] == 0 }
        description.setWindow(window, in: windowed)
        return description
    }
}
