import ModelFormats

/// The body of a request to `/v1/chat/completions`.
struct ChatRequest: Decodable {
    let sampling: SamplingFields
    let messages: [Message]
    /// How many likely tokens are told at each place; nil for no log-probabilities.
    let topLogprobs: Int?

    struct Message: Decodable {
        let role: Role
        let content: String

        enum Role: String, Decodable {
            case system, developer, user, assistant
        }

        private enum CodingKeys: String, CodingKey { case role, content }

        private struct Part: Decodable {
            let type: String
            let text: String?
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            role = try fields.decode(Role.self, forKey: .role)
            if let text = try? fields.decode(String.self, forKey: .content) {
                content = text
                return
            }
            content = try fields.decode([Part].self, forKey: .content).map { part in
                guard part.type == "text", let text = part.text else {
                    throw APIError.invalid("messages", "only parts of text are supported", code: "unsupported_parameter")
                }
                return text
            }.joined()
        }
    }

    static let mostLogprobs = 20

    private enum CodingKeys: String, CodingKey {
        case messages, logprobs
        case topLogprobs = "top_logprobs"
    }

    init(from decoder: any Decoder) throws {
        sampling = try SamplingFields(from: decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        messages = try fields.decode([Message].self, forKey: .messages)
        let isAsked = try fields.decodeIfPresent(Bool.self, forKey: .logprobs) ?? false
        let count = try fields.integer(.topLogprobs)
        if let count {
            guard isAsked else { throw APIError.invalid("top_logprobs", "needs 'logprobs' to be true") }
            guard (0...Self.mostLogprobs).contains(count) else {
                throw APIError.invalid("top_logprobs", "must be from 0 to \(Self.mostLogprobs)")
            }
        }
        topLogprobs = isAsked ? count ?? 0 : nil
    }

    /// The conversation as the model's format writes it.
    ///
    /// - Throws: `APIError` for a conversation that does not end with the user, or whose system texts do not come first.
    func prompt(_ format: ChatFormat, template: ChatTemplate?) throws(APIError) -> ChatPrompt {
        let first = messages.firstIndex { $0.role == .user || $0.role == .assistant } ?? messages.endIndex
        let (system, turns) = (messages[..<first], messages[first...])
        guard turns.last?.role == .user else { throw .invalid("messages", "the last message must be the user's") }
        guard turns.allSatisfy({ $0.role == .user || $0.role == .assistant }) else {
            throw .invalid("messages", "system messages must come first")
        }
        return ChatPrompt(
            format, template: template, system: system.isEmpty ? nil : system.map(\.content).joined(separator: "\n\n"),
            turns: turns.map { $0.role == .user ? .user($0.content) : .assistant($0.content) })
    }
}
