import AttentionCore

/// One question to a model that was trained on conversations: an optional system text and what the user says, up to where the answer begins.
///
///     let chat = try ChatPrompt(.chatml, user: "Who is Ishmael?")
///     let tokens = try chat.tokens(model.tokenizer)
public struct ChatPrompt: Sendable {
    public let format: ChatFormat
    private let layout: ChatLayout
    private let system: String?
    private let user: String

    /// - Parameters:
    ///   - template: the model's own, which varies the format: whether begin-of-text comes first, its spaces, and the system text that it
    ///     gives where none is given.
    ///   - system: nil for the template's own, or none.
    public init(_ format: ChatFormat, template: ChatTemplate? = nil, system: String? = nil, user: String) {
        self.format = format
        layout = ChatLayout(format, template)
        self.system = system
        self.user = user
    }

    /// The conversation as text, without begin-of-text.
    public var text: String {
        let user = trimmed(user)
        var body = layout.user.text(user)
        switch (layout.system, (system ?? layout.usualSystem).map(trimmed)) {
        case (.turn(let turn), let system?): body = turn.text(system) + body
        case (.inUserTurn(let separator), let system?): body = layout.user.text(system + separator + user)
        case (_, nil): break
        }
        return layout.prefix + body + layout.answer
    }

    private func trimmed(_ text: String) -> String {
        guard layout.trims else { return text }
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }

    /// The conversation's tokens: marks in it are the tokenizer's own tokens, and begin-of-text comes first, once, where the format has it.
    ///
    /// - Throws: `InputError` (`invalidData`) when a mark of the format is none of the tokenizer's tokens.
    public func tokens(_ tokenizer: Tokenizer) throws(InputError) -> [Int32] {
        for marker in layout.markers where tokenizer.id(ofSpecial: marker) == nil {
            throw InputError(
                .invalidData, field: "chat", value: format.rawValue, rule: "needs the token \(marker), which the model's tokenizer lacks")
        }
        return begin(tokenizer) + tokenizer.encode(text)
    }

    private func begin(_ tokenizer: Tokenizer) -> [Int32] {
        guard let begin = layout.begin else { return [] }
        let own = tokenizer.affixes.before
        return own.isEmpty ? tokenizer.id(ofSpecial: begin).map { [$0] } ?? [] : own
    }

    /// The tokens that end an answer in this format, of those that the tokenizer has.
    public func endsOfTurn(_ tokenizer: Tokenizer) -> [Int32] { layout.ends.compactMap { tokenizer.id(ofSpecial: $0) } }
}
