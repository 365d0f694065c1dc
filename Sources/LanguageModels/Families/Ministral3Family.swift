import AttentionCore
import ModelFormats

/// Ministral 3: a Mistral whose queries grow slowly with their position. Source: its reference implementation in transformers.
enum Ministral3Family: ModelFamily {
    static let modelTypes = ["ministral3"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        try RotaryFields.require(config)
        var description = try StandardConfig(
            keyValueHeads: 8, headDimension: 128, maximumPositions: 262_144, rotaryBase: 1_000_000, normEpsilon: 1e-5
        ).describe(config)
        config.ignore(["use_sliding_window"])
        let window = try config.window(default: nil)
        description.setWindow(window, in: try config.layersWithWindow(count: description.layerCount) { _ in true })
        // The setting stands among those of the rotary embedding.
        let rotary = try RotaryFields(config, maximumPositions: description.maximumPositions)
        guard let parameters = rotary.parameters, parameters.has("llama_4_scaling_beta") else { return description }
        let beta = try parameters.number("llama_4_scaling_beta", in: 0...10)
        let length = try parameters.integer("original_max_position_embeddings", in: 1...ModelLimit.positions)
        for index in description.layers.indices where beta > 0 {
            description.layers[index].attention.positionScale = PositionScale(beta: beta, length: length)
        }
        return description
    }
}
