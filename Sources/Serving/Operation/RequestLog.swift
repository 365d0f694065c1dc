import Foundation
import LanguageModels

/// A line of JSON for each request, without anything that it says.
struct RequestRecord: Encodable {
    let time: Date
    let id: String
    let endpoint: String
    var status = 0
    var seconds = 0.0
    var promptTokens: Int?
    var cachedTokens: Int?
    var generatedTokens: Int?
    /// Units: seconds.
    var firstToken: Double?
    var density: Double?
    /// The API's code of an error.
    var error: String?

    private enum CodingKeys: String, CodingKey {
        case time, id, endpoint, status, seconds, density, error
        case promptTokens = "prompt_tokens"
        case cachedTokens = "cached_tokens"
        case generatedTokens = "generated_tokens"
        case firstToken = "time_to_first_token_seconds"
    }

    init(time: Date, id: String, endpoint: String) {
        self.time = time
        self.id = id
        self.endpoint = endpoint
    }

    mutating func note(_ summary: GenerationSummary) {
        promptTokens = summary.promptTokens
        cachedTokens = summary.cachedTokens
        generatedTokens = summary.generatedTokens
        firstToken = summary.queueSeconds + summary.firstTokenSeconds
        density = summary.prefill.density
    }

    var line: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
