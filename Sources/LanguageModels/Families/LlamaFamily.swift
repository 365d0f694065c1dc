import AttentionCore

/// Llama 1 to 3, and the many models that are saved as one. Source: arXiv 2302.13971, 2407.21783.
enum LlamaFamily: ModelFamily {
    static let modelTypes = ["llama"]

    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription {
        try config.require("rope_interleaved", false)
        var description = try StandardConfig().describe(config)
        try config.readBiases(into: &description.layers)
        // Some converters write the members of other families; in transformers a Llama has no window.
        let isUsed = try config.bool("use_sliding_window", default: true)
        if try config.window(default: nil) != nil, isUsed {
            throw config.error("sliding_window", "must be null for this model_type", code: .unsupported)
        }
        return description
    }
}
