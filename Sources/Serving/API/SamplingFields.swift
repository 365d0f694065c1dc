import AttentionCore
import LanguageModels

/// The fields that requests for text have in common, checked by themselves.
struct SamplingFields: Decodable {
    let model: String?
    /// Nil where none is given.
    let maxTokens: Int?
    let temperature: Double
    let topP: Double
    let seed: Int?
    let stop: [String]
    let stream: Bool
    let includesUsage: Bool
    /// Fields of this server's own.
    let certificate: Bool
    let cachePrompt: Bool

    static let mostStops = 4
    private static let mostStopBytes = 1024

    private enum CodingKeys: String, CodingKey {
        case model, temperature, seed, stop, stream, certificate
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
        case topP = "top_p"
        case streamOptions = "stream_options"
        case cachePrompt = "cache_prompt"
    }

    private struct StreamOptions: Decodable {
        let includesUsage: Bool?

        private enum CodingKeys: String, CodingKey { case includesUsage = "include_usage" }
    }

    init(from decoder: any Decoder) throws {
        try UnservedFields.refuse(in: decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = try fields.decodeIfPresent(String.self, forKey: .model)
        let field: CodingKeys = fields.contains(.maxCompletionTokens) ? .maxCompletionTokens : .maxTokens
        maxTokens = try fields.integer(field)
        if let maxTokens, maxTokens < 1 { throw APIError.invalid(field.rawValue, "must be at least 1") }
        temperature = try fields.decodeIfPresent(Double.self, forKey: .temperature) ?? 1
        guard (0...2).contains(temperature) else { throw APIError.invalid("temperature", "must be from 0 to 2") }
        topP = try fields.decodeIfPresent(Double.self, forKey: .topP) ?? 1
        guard (0...1).contains(topP) else { throw APIError.invalid("top_p", "must be from 0 to 1") }
        seed = try fields.integer(.seed)
        stop = try Self.stops(fields)
        stream = try fields.decodeIfPresent(Bool.self, forKey: .stream) ?? false
        let options = try fields.decodeIfPresent(StreamOptions.self, forKey: .streamOptions)
        if options != nil, !stream { throw APIError.invalid("stream_options", "needs 'stream' to be true") }
        includesUsage = options?.includesUsage ?? false
        certificate = try fields.decodeIfPresent(Bool.self, forKey: .certificate) ?? false
        cachePrompt = try fields.decodeIfPresent(Bool.self, forKey: .cachePrompt) ?? true
    }

    private static func stops(_ fields: KeyedDecodingContainer<CodingKeys>) throws -> [String] {
        guard fields.contains(.stop), try !fields.decodeNil(forKey: .stop) else { return [] }
        let stops = try (try? fields.decode(String.self, forKey: .stop)).map { [$0] } ?? fields.decode([String].self, forKey: .stop)
        guard stops.count <= mostStops else { throw APIError.invalid("stop", "must be at most \(mostStops) texts") }
        guard stops.allSatisfy({ (1...mostStopBytes).contains($0.utf8.count) }) else {
            throw APIError.invalid("stop", "must be texts of 1 to \(mostStopBytes) bytes")
        }
        return stops
    }

    /// - Parameter random: the seed where none is given.
    func sampler(random: UInt64) throws(InputError) -> TokenSampler {
        let seed = seed.map { UInt64(bitPattern: Int64($0)) } ?? random
        // Of a share of nothing the likeliest token is left.
        return topP == 0
            ? try TokenSampler()
            : try TokenSampler(temperature: temperature, topP: Fraction(topP, field: "top_p"), seed: seed)
    }
}
