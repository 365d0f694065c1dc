import AttentionCore
import ModelFormats

/// Qwen 2 and 2.5: a Llama with biases of queries, keys and values. Source: arXiv 2407.10671.
enum Qwen2Family: ModelFamily {
    static let modelTypes = ["qwen2"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        try config.require("use_mrope", false)
        // Says what the family always does, and is not read.
        config.ignore(["attention_bias"])
        var description = try StandardConfig(keyValueHeads: 32, maximumPositions: 32768).describe(config)
        for index in description.layers.indices { description.layers[index].attention.hasInputBias = true }
        try config.readUpperWindows(into: &description)
        return description
    }
}

extension ConfigReader {
    /// Layers from `max_window_layers` on have the window, where one is used.
    func readUpperWindows(into description: inout DecoderDescription) throws(InputError) {
        let first = try integer("max_window_layers", in: 0...ModelLimit.layers, default: 28)
        let isUsed = try bool("use_sliding_window", default: false)
        guard let window = try window(default: 4096), isUsed else {
            _ = try layersWithWindow(count: description.layerCount) { _ in false }
            return
        }
        description.setWindow(window, in: try layersWithWindow(count: description.layerCount) { $0 >= first })
    }
}
