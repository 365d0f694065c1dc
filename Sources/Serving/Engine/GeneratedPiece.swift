import LanguageModels

/// Some of an answer's text, as it becomes certain.
package struct GeneratedPiece: Sendable {
    package var text: String
    /// Of the tokens that begin in the text, where log-probabilities were asked for.
    package var tokens: [TokenLogprob] = []
}

/// Why an answer ends.
package enum FinishReason: String, Encodable, Sendable {
    /// The model ended it, or a stop text came.
    case stop
    /// There was no room for more tokens.
    case length
}

/// What a request for text comes to once it has been checked.
package struct GenerationRequest: Sendable {
    package var prompt: [Int32]
    /// At least 1.
    package var maxTokens: Int
    package var sampler: TokenSampler
    package var stops: [String] = []
    /// Tokens that end the answer as the model's own end-of-text tokens do.
    package var endsOfTurn: [Int32] = []
    /// Likely tokens told at each place; nil for no log-probabilities.
    package var topLogprobs: Int?
    package var isCertified = false
    package var reusesCache = true

    package init(prompt: [Int32], maxTokens: Int, sampler: TokenSampler) {
        self.prompt = prompt
        self.maxTokens = maxTokens
        self.sampler = sampler
    }
}

/// What a generation cost and how it ended.
package struct GenerationSummary: Sendable {
    package let finish: FinishReason
    /// Of the prompt, and those of them that came from the cache.
    package let promptTokens, cachedTokens: Int
    /// With those of a stop text, without an end-of-text token.
    package let generatedTokens: Int
    package let prefill: LanguageModel.PrefillReport
    package let policyName: String
    let certificate: CertificateSummary?
    /// From when the generation began to its first token.
    package let firstTokenSeconds: Double
    /// Of the tokens after the first.
    package let decodeSeconds: Double
    /// Before its turn came.
    package internal(set) var queueSeconds = 0.0
}
