import AttentionCore
import Evaluation
import ModelFormats
import Synchronization

/// A text that quality is measured on, at every position.
public struct TuningPrompt: Sendable {
    public enum Kind: String, Sendable, NamedCase {
        /// The user's text as it is: for the loss.
        case plain
        /// The same text with facts, questions and repeated paragraphs interleaved: for what has to be looked up.
        case interleaved
    }

    /// Of the text it is from.
    public let name: String
    public let kind: Kind
    public let tokens: [Int32]
    /// Answers that stand in the text earlier, and paragraphs that come again: ranges of `tokens`. None in plain prompts.
    public let answers: [Range<Int>]
    public let repetitions: [Range<Int>]

    public init(name: String, kind: Kind, tokens: [Int32], answers: [Range<Int>], repetitions: [Range<Int>]) {
        self.name = name
        self.kind = kind
        self.tokens = tokens
        self.answers = answers
        self.repetitions = repetitions
    }

    /// Tells a study's prompts apart.
    public var title: String { "\(name), \(kind.rawValue), \(tokens.count) tokens" }
}

/// Where prompts come from: one text.
public struct TuningText: Sendable {
    public let name, path, sha256: String
    private let tokenizer: Tokenizer
    private let tokens: [Int32]
    private let content: String
    /// By the longest that one may be: a study asks for the same ones many times, and cutting a book takes long.
    private let knownParagraphs = Memory<[String]>()

    /// - Parameters:
    ///   - name: for people; the path, for errors.
    public init(_ content: String, name: String, path: String, tokenizer: Tokenizer) {
        self.name = name
        self.path = path
        self.tokenizer = tokenizer
        sha256 = ModelFormats.sha256(ofText: content)
        tokens = tokenizer.encode(content)
        self.content = content
    }

    public var tokenCount: Int { tokens.count }

    /// How many prompts of a length it takes to judge by: some 16,384 tokens of each kind, for the shorter a prompt is, the less it
    /// tells of its text.
    static func promptCounts(length: Int) -> (plain: Int, interleaved: Int) {
        let count = max(1, 16_384 / length)
        return (min(4, count), min(2, count))
    }

    /// Two texts out of one, the second of which holds at least so many tokens: to tune on one and check on the other.
    ///
    /// - Parameter content: see `init`. Cut between lines, or within one that is long.
    public static func parts(
        of content: String, name: String, path: String, tokenizer: Tokenizer, lastTokens: Int
    ) -> (first: TuningText, last: TuningText) {
        let pieces = pieces(of: content)
        var (cut, tokens) = (pieces.count, 0)
        while cut > 0, tokens < lastTokens {
            cut -= 1
            tokens += tokenizer.encode(pieces[cut]).count
        }
        func text(_ part: ArraySlice<String>) -> TuningText { TuningText(part.joined(), name: name, path: path, tokenizer: tokenizer) }
        return (text(pieces[..<cut]), text(pieces[cut...]))
    }

    /// The text in pieces that give it again: its lines, and long lines in runs of some hundred words.
    private static func pieces(of content: String) -> [String] {
        content.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line -> [String] in
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            let runs = stride(from: 0, to: words.count, by: 100).map { words[$0..<min($0 + 100, words.count)].joined(separator: " ") }
            let spaced = runs.dropLast().map { $0 + " " } + [runs.last! + "\n"]
            return spaced.flatMap { Paragraphs.parts(of: $0[...], longest: 4096).map(String.init) }
        }
    }

    /// Begin-of-text and the tokens from a place on.
    ///
    /// - Parameter position: 0 begins at the start, 1 ends at the end, and in between in proportion.
    /// - Throws: `InputError` (`invalidData`) when the text is shorter than the length.
    public func plain(length: Int, position: Double) throws(InputError) -> TuningPrompt {
        let begin = tokenizer.affixes.before
        let own = length - begin.count
        guard own >= 2, tokens.count >= own else {
            throw InputError(
                .invalidData, file: path, field: "text", value: "\(tokens.count) tokens",
                rule: "must hold the \(own) tokens that a length of \(length) needs")
        }
        let first = Int(position * Double(tokens.count - own))
        return TuningPrompt(
            name: "\(name) from \(Int((100 * position).rounded())) %", kind: .plain, tokens: begin + tokens[first..<first + own],
            answers: [], repetitions: [])
    }

    /// The text's lines; those longer than an eighth of the length or some 200 tokens are cut between words, so that there is room
    /// for more than one of them.
    private func paragraphs(length: Int) -> [String] {
        let charactersPerToken = Double(content.utf8.count) / Double(max(1, tokens.count))
        let most = max(16, Int(charactersPerToken * Double(min(200, length / 8))))
        return knownParagraphs.value(most) { Paragraphs.of(content, longest: most) }
    }

    /// The text's paragraphs with things to look up.
    ///
    /// - Throws: `InputError` when nothing can be asked within the length.
    public func interleaved(length: Int, seed: UInt64, number: Int) throws(InputError) -> TuningPrompt {
        let paragraphs = paragraphs(length: length)
        guard !paragraphs.isEmpty else { throw InputError(.invalidData, file: path, field: "text", rule: "must hold a paragraph") }
        let interleaved = try InterleavedText(
            paragraphs: paragraphs, tokenizer: tokenizer, length: length, seed: seed,
            number: number, texture: .init(length: length))
        return TuningPrompt(
            name: number == 0 ? name : "\(name), interleaved \(number)", kind: .interleaved, tokens: interleaved.tokens,
            answers: interleaved.answers,
            repetitions: interleaved.repetitions)
    }
}

/// What is computed once for each key.
private final class Memory<Value: Sendable>: Sendable {
    private let known = Mutex<[Int: Value]>([:])

    func value(_ key: Int, compute: () -> Value) -> Value {
        if let value = known.withLock({ $0[key] }) { return value }
        let value = compute()
        known.withLock { $0[key] = value }
        return value
    }
}
