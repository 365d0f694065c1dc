import LanguageModels
import SampleAttention

/// Tokens that a request cost, as the API counts them.
struct Usage: Encodable {
    let promptTokens, completionTokens, cachedTokens: Int

    private enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case totalTokens = "total_tokens"
        case promptDetails = "prompt_tokens_details"
    }

    private enum DetailKeys: String, CodingKey { case cachedTokens = "cached_tokens" }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(promptTokens, forKey: .promptTokens)
        try fields.encode(completionTokens, forKey: .completionTokens)
        try fields.encode(promptTokens + completionTokens, forKey: .totalTokens)
        var details = fields.nestedContainer(keyedBy: DetailKeys.self, forKey: .promptDetails)
        try details.encode(cachedTokens, forKey: .cachedTokens)
    }
}

/// What an answer took, a field of this server's own: names that llama.cpp's server has mean the same here. Units: milliseconds, and tokens a
/// second; null where nothing was computed.
struct Timings: Encodable {
    /// Before the request's turn came.
    let queueMilliseconds: Double
    /// From the request's arrival to its first token.
    let firstTokenMilliseconds: Double
    /// Tokens of the prompt that were reused, and that were computed.
    let cachedTokens, promptTokens: Int
    let promptMilliseconds: Double
    /// Selection, certificates and attention itself, part of the prompt's time.
    let attentionMilliseconds: Double
    /// The share of the causal pairs of the computed tokens that was kept.
    let density: Double
    let attention: String
    let predictedTokens: Int
    /// Of all tokens after the first.
    let predictedMilliseconds: Double

    private enum CodingKeys: String, CodingKey {
        case queueMilliseconds = "queue_ms"
        case firstTokenMilliseconds = "time_to_first_token_ms"
        case cachedTokens = "cache_n"
        case promptTokens = "prompt_n"
        case promptMilliseconds = "prompt_ms"
        case promptPerSecond = "prompt_per_second"
        case attentionMilliseconds = "attention_ms"
        case density, attention
        case predictedTokens = "predicted_n"
        case predictedMilliseconds = "predicted_ms"
        case predictedPerSecond = "predicted_per_second"
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(queueMilliseconds, forKey: .queueMilliseconds)
        try fields.encode(firstTokenMilliseconds, forKey: .firstTokenMilliseconds)
        try fields.encode(cachedTokens, forKey: .cachedTokens)
        try fields.encode(promptTokens, forKey: .promptTokens)
        try fields.encode(promptMilliseconds, forKey: .promptMilliseconds)
        try fields.encode(Self.rate(promptTokens, promptMilliseconds), forKey: .promptPerSecond)
        try fields.encode(attentionMilliseconds, forKey: .attentionMilliseconds)
        try fields.encode(density, forKey: .density)
        try fields.encode(attention, forKey: .attention)
        try fields.encode(predictedTokens, forKey: .predictedTokens)
        try fields.encode(predictedMilliseconds, forKey: .predictedMilliseconds)
        try fields.encode(Self.rate(predictedTokens - 1, predictedMilliseconds), forKey: .predictedPerSecond)
    }

    private static func rate(_ tokens: Int, _ milliseconds: Double) -> Double? {
        tokens > 0 && milliseconds > 0 ? Double(tokens) * 1000 / milliseconds : nil
    }
}

/// What the prefill's certificates say together, a field of this server's own.
struct CertificateSummary: Encodable, Hashable {
    let confidence: Double
    /// Query rows drawn from each head.
    let rows: Int
    /// Mean over heads of the estimated mean retained mass, and the least of their lower bounds.
    let meanMass, leastMeanLowerBound: Double
    let heads, denseHeads: Int
    /// The prompt's tokens that it is about: those before it came from the cache.
    let firstToken, tokens: Int
    let milliseconds: Double

    private enum CodingKeys: String, CodingKey {
        case confidence, rows, heads, tokens
        case meanMass = "mean_mass"
        case leastMeanLowerBound = "least_mean_lower_bound"
        case denseHeads = "dense_heads"
        case firstToken = "first_token"
        case milliseconds = "ms"
    }

    /// Nil where nothing was certified.
    init?(_ report: LanguageModel.PrefillReport, certification: Certification?, firstToken: Int) {
        let certificates = report.chunks.joined().flatMap { $0.certificates ?? [] }
        guard let certification, !certificates.isEmpty else { return nil }
        confidence = certification.confidence
        rows = certification.rows
        let counted = certificates.reduce(0) { $0 + $1.rows }
        meanMass = certificates.reduce(0) { $0 + $1.meanMass * Double($1.rows) } / Double(counted)
        leastMeanLowerBound = certificates.map(\.meanLowerBound).min { $0.isNaN || $0 < $1 } ?? 0
        heads = certificates.count
        denseHeads = certificates.count { $0.isDense }
        self.firstToken = firstToken
        tokens = report.tokens
        milliseconds = report.certificateSeconds * 1000
    }
}
