import Foundation

/// What answers of one request have in common.
struct AnswerHead: Sendable {
    let id: String
    let model: String
    /// Units: seconds since 1970.
    let created: Int
    let endpoint: GenerationEndpoint
}

/// The two ways to ask for text; what their answers differ in.
enum GenerationEndpoint: Sendable {
    case completion, chat

    var idPrefix: String { self == .chat ? "chatcmpl-" : "cmpl-" }

    func objectName(isPart: Bool) -> String {
        switch self {
        case .completion: "text_completion"
        case .chat: isPart ? "chat.completion.chunk" : "chat.completion"
        }
    }
}

/// A whole answer, or an event of a streamed one.
struct Answer: Encodable {
    let head: AnswerHead
    /// True for an event.
    let isPart: Bool
    /// Nil for an event that has none, such as that of the usage.
    var piece: GeneratedPiece?
    /// True for the event that begins an answer.
    var isFirst = false
    var finish: FinishReason?
    var usage: Usage?
    var timings: Timings?
    var certificate: CertificateSummary?
    /// Whether log-probabilities were asked for.
    var tellsLogprobs = false

    private enum CodingKeys: String, CodingKey {
        case id, object, created, model, choices, usage, timings, certificate
    }

    private enum ChoiceKeys: String, CodingKey {
        case index, text, message, delta, logprobs
        case finish = "finish_reason"
    }

    private enum MessageKeys: String, CodingKey { case role, content }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(head.id, forKey: .id)
        try fields.encode(head.endpoint.objectName(isPart: isPart), forKey: .object)
        try fields.encode(head.created, forKey: .created)
        try fields.encode(head.model, forKey: .model)
        var choices = fields.nestedUnkeyedContainer(forKey: .choices)
        if piece != nil || finish != nil {
            var choice = choices.nestedContainer(keyedBy: ChoiceKeys.self)
            try encode(into: &choice)
        }
        try fields.encodeIfPresent(usage, forKey: .usage)
        try fields.encodeIfPresent(timings, forKey: .timings)
        try fields.encodeIfPresent(certificate, forKey: .certificate)
    }

    private func encode(into choice: inout KeyedEncodingContainer<ChoiceKeys>) throws {
        try choice.encode(0, forKey: .index)
        try choice.encode(finish, forKey: .finish)
        let tokens = tellsLogprobs ? piece?.tokens ?? [] : []
        switch head.endpoint {
        case .completion:
            try choice.encode(piece?.text ?? "", forKey: .text)
            try choice.encode(tellsLogprobs ? CompletionLogprobs(tokens: tokens) : nil, forKey: .logprobs)
        case .chat:
            var message = choice.nestedContainer(keyedBy: MessageKeys.self, forKey: isPart ? .delta : .message)
            if !isPart || isFirst { try message.encode("assistant", forKey: .role) }
            if let piece { try message.encode(piece.text, forKey: .content) }
            try choice.encode(tellsLogprobs ? ChatLogprobs(content: tokens) : nil, forKey: .logprobs)
        }
    }
}

/// Log-probabilities as `/v1/completions` has them: lists side by side.
private struct CompletionLogprobs: Encodable {
    let tokens: [TokenLogprob]

    private enum CodingKeys: String, CodingKey {
        case tokens
        case logprobs = "token_logprobs"
        case top = "top_logprobs"
        case offsets = "text_offset"
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(tokens.map(\.choice.text), forKey: .tokens)
        try fields.encode(tokens.map(\.choice.logprob), forKey: .logprobs)
        // Tokens that are parts of characters may be written alike; the likeliest stands for them.
        try fields.encode(
            tokens.map { Dictionary($0.likeliest.map { ($0.text, $0.logprob) }, uniquingKeysWith: max) }, forKey: .top)
        try fields.encode(tokens.map(\.offset), forKey: .offsets)
    }
}

/// Log-probabilities as `/v1/chat/completions` has them: an object a token.
private struct ChatLogprobs: Encodable {
    let content: [TokenLogprob]

    private enum CodingKeys: String, CodingKey { case content }

    private struct Place: Encodable {
        let token: TokenLogprob

        private enum CodingKeys: String, CodingKey {
            case token, logprob, bytes
            case top = "top_logprobs"
        }

        func encode(to encoder: any Encoder) throws {
            try token.choice.encode(to: encoder)
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(token.likeliest, forKey: .top)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(content.map { Place(token: $0) }, forKey: .content)
    }
}
