import AttentionCore
import ModelFormats

/// Running prose interleaved with work for retrieval heads: facts, questions about them with their answers, and paragraphs that
/// come again word for word. One prefill of it shows, at every position, which facts a sparse prefill no longer finds.
///
/// Works with any text and tokenizer; the same seed gives the same tokens.
public struct InterleavedText: Sendable, Hashable {
    /// Begin-of-text (where the model has one) and `length` tokens in all.
    public let tokens: [Int32]
    /// Answers as ranges of `tokens`: each token follows from a fact that stands earlier.
    public let answers: [Range<Int>]
    /// Paragraphs that stand earlier too, without their first tokens, as ranges of `tokens`.
    public let repetitions: [Range<Int>]

    /// How densely the prose is interleaved.
    public struct Texture: Sendable, Hashable {
        /// Tokens of text for each fact, and for each question.
        public var tokensPerFact = 400, tokensPerQuestion = 200
        /// Tokens of text for each repeated paragraph, and the tokens it may have.
        public var tokensPerRepetition = 1500
        public var repetitionTokens = 24...160
        /// Tokens at the start of a repetition that do not yet say which paragraph it is.
        public var repetitionLead = 8

        public init() {}

        /// Denser in short texts, so that they ask some dozens of questions too.
        public init(length: Int) {
            tokensPerFact = min(tokensPerFact, max(60, length / 40))
            tokensPerQuestion = min(tokensPerQuestion, max(60, length / 60))
            tokensPerRepetition = min(tokensPerRepetition, max(300, length / 8))
        }
    }

    /// - Parameters:
    ///   - paragraphs: at least one; they are taken in order from a place that `number` and the seed choose, and over again.
    ///   - length: tokens in all.
    /// - Throws: `InputError` (`usage`) when nothing can be asked within the length.
    public init(
        paragraphs: [String], tokenizer: Tokenizer, length: Int, seed: UInt64, number: Int = 0,
        texture: Texture = Texture()
    ) throws(InputError) {
        let pieces = TextInterleaver.pieces(
            paragraphs, texture: texture, room: length - tokenizer.affixes.before.count,
            random: SeededGenerator.derived(seed: seed, length, number), tokenizer: tokenizer)
        let encoding = tokenizer.encodeWithOffsets(pieces.map(\.text).joined())
        let begin = tokenizer.affixes.before
        let all = begin + encoding.ids
        tokens = Array(all.prefix(length))
        var spans: [(kind: TextInterleaver.PieceKind, range: Range<Int>)] = []
        var offset = 0
        for piece in pieces {
            let end = offset + piece.text.unicodeScalars.count
            if piece.kind != .plain { spans.append((piece.kind, offset..<end)) }
            offset = end
        }
        (answers, repetitions) = Self.locate(spans, in: encoding, begin: begin.count, limit: tokens.count, lead: texture.repetitionLead)
        guard tokens.count == length, !answers.isEmpty else {
            throw InputError(.usage, field: "length", value: "\(length)", rule: "is too short for a fact and a question in the text")
        }
    }

    /// Token ranges of spans given in Unicode scalars, both ascending.
    private static func locate(
        _ spans: [(kind: TextInterleaver.PieceKind, range: Range<Int>)], in encoding: EncodedText, begin: Int, limit: Int, lead: Int
    ) -> (answers: [Range<Int>], repetitions: [Range<Int>]) {
        var found: [TextInterleaver.PieceKind: [Range<Int>]] = [:]
        var token = 0
        for span in spans {
            while token < encoding.ids.count, encoding.scalarRanges[token].upperBound <= span.range.lowerBound { token += 1 }
            let first = token
            while token < encoding.ids.count, encoding.scalarRanges[token].lowerBound < span.range.upperBound { token += 1 }
            let start = begin + first + (span.kind == .repetition ? lead : 0)
            guard start < begin + token, begin + token <= limit else { continue }
            found[span.kind, default: []].append(start..<begin + token)
        }
        return (found[.answer] ?? [], found[.repetition] ?? [])
    }
}
