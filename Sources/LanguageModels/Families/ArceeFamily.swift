import AttentionCore

/// Arcee's AFM: a Llama whose feed-forward is not gated, with squared rectifiers. Source: its reference implementation in transformers.
enum ArceeFamily: ModelFamily {
    static let modelTypes = ["arcee"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        var description = try StandardConfig(maximumPositions: 4096, normEpsilon: 1e-5, activation: "relu2").describe(config)
        for index in description.layers.indices {
            guard case .gated(let width, let activation, let hasBias) = description.layers[index].feedForward else { continue }
            description.layers[index].feedForward = .plain(width: width, activation: activation, hasBias: hasBias)
        }
        try config.readBiases(into: &description.layers)
        return description
    }
}
