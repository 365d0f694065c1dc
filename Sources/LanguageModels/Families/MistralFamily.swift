import AttentionCore

/// Mistral 7B and its kin: a Llama whose layers may all have one window. Source: arXiv 2310.06825.
enum MistralFamily: ModelFamily {
    static let modelTypes = ["mistral"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(keyValueHeads: 8, maximumPositions: 4096 * 32).describe(config)
        // Whether a window is used is not asked here, contrary to Qwen.
        config.ignore(["use_sliding_window"])
        let window = try config.window(default: 4096)
        description.setWindow(window, in: try config.layersWithWindow(count: description.layerCount) { _ in true })
        return description
    }
}
