import AttentionCore

/// A conversation with a model that was trained on such: an optional system text and the turns so far, up to where the next answer begins.
///
///     let chat = try ChatPrompt(.chatml, user: "Who is Ishmael?")
///     let tokens = try chat.tokens(model.tokenizer)
public struct ChatPrompt: Sendable {
    public let format: ChatFormat
    private let layout: ChatLayout
    private let system: String?
    private let turns: [Turn]

    /// What somebody said.
    public enum Turn: Hashable, Sendable {
        case user(String)
        /// An earlier answer of the model.
        case assistant(String)
    }

    /// One question.
    ///
    /// - Parameters:
    ///   - template: the model's own, which varies the format: whether begin-of-text comes first, its spaces, and the system text that it
    ///     gives where none is given.
    ///   - system: nil for the template's own, or none.
    public init(_ format: ChatFormat, template: ChatTemplate? = nil, system: String? = nil, user: String) {
        self.init(format, template: template, system: system, turns: [.user(user)])
    }

    /// A conversation that goes on.
    ///
    /// - Parameters:
    ///   - template: as for one question.
    ///   - system: as for one question. A format that has no place of its own for it gives it with what the user says first, or last.
    ///   - turns: in their order; the last one is the user's.
    public init(_ format: ChatFormat, template: ChatTemplate? = nil, system: String? = nil, turns: [Turn]) {
        self.format = format
        layout = ChatLayout(format, template)
        self.system = system
        self.turns = turns
    }

    /// The conversation as text, without begin-of-text.
    public var text: String {
        var system = (system ?? layout.usualSystem).map(trimmed)
        var text = layout.prefix
        if case .turn(let turn) = layout.system, let own = system {
            text += turn.text(own)
            system = nil
        }
        for (index, turn) in turns.enumerated() {
            switch turn {
            case .assistant(let said): text += layout.answered.text(trimmed(said))
            case .user(let said):
                var said = trimmed(said)
                if case .inUserTurn(let separator, let isLast) = layout.system, let own = system, !isLast || index == turns.count - 1 {
                    said = own + separator + said
                    system = nil
                }
                text += layout.user.text(said)
            }
        }
        return text + layout.answer
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
