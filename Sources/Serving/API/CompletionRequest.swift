/// The body of a request to `/v1/completions`.
struct CompletionRequest: Decodable {
    let sampling: SamplingFields
    let prompt: Prompt
    /// How many likely tokens are told at each place; nil for no log-probabilities.
    let logprobs: Int?

    /// What is continued: one text, or one list of tokens, alone or as a list's only element.
    enum Prompt: Hashable {
        case text(String)
        case tokens([Int32])
    }

    /// New tokens where the request does not say how many, as the API has it.
    static let standardMaxTokens = 16
    static let mostLogprobs = 5

    private enum CodingKeys: String, CodingKey { case prompt, logprobs }

    init(from decoder: any Decoder) throws {
        sampling = try SamplingFields(from: decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        prompt = try Self.prompt(fields)
        logprobs = try fields.integer(.logprobs)
        if let logprobs, !(0...Self.mostLogprobs).contains(logprobs) {
            throw APIError.invalid("logprobs", "must be from 0 to \(Self.mostLogprobs)")
        }
    }

    private static func prompt(_ fields: KeyedDecodingContainer<CodingKeys>) throws -> Prompt {
        if let text = try? fields.decode(String.self, forKey: .prompt) { return .text(text) }
        if let tokens = try? fields.decode([Int32].self, forKey: .prompt) { return .tokens(tokens) }
        if let texts = try? fields.decode([String].self, forKey: .prompt) { return .text(try only(texts)) }
        // What is none of these is told as a fault of its innermost list.
        return .tokens(try only(fields.decode([[Int32]].self, forKey: .prompt)))
    }

    private static func only<Element>(_ prompts: [Element]) throws(APIError) -> Element {
        guard prompts.count == 1 else { throw .invalid("prompt", "must be one prompt a request") }
        return prompts[0]
    }
}
