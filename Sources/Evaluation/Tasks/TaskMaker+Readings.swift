import AttentionCore
import ModelFormats

/// Texts that are read along: what is scored stands all through them, so that every row of a prefill is tested.
extension TaskMaker {
    /// Words of a repeated paragraph that cannot be known yet.
    private static let unknownWords = 8

    /// Facts, and questions about earlier facts with their answers: as many whole pieces as fit.
    func interleaved(room: Int, random: SeededGenerator) throws(InputError) -> EvaluationTask.Content {
        var texture = InterleavedText.Texture(length: room)
        texture.tokensPerRepetition = .max
        // Where a line takes all the room, nothing can be asked behind it.
        for paragraphs in [haystack.paragraphs.map(\.text), haystack.cutParagraphs(room: room)] where !paragraphs.isEmpty && room >= 1 {
            let pieces = TextInterleaver.pieces(paragraphs, texture: texture, room: room, random: random, tokenizer: haystack.tokenizer)
            let (text, answers) = Self.joined(pieces, room: room)
            if !answers.isEmpty { return .reading(text: text, answers: answers) }
        }
        throw Self.tooShort(room)
    }

    /// The pieces that fit, and where their answers stand.
    private static func joined(_ pieces: [TextInterleaver.Piece], room: Int) -> (text: String, answers: [Range<Int>]) {
        var (text, answers, used, scalars): (String, [Range<Int>], Int, Int) = ("", [], 0, 0)
        for piece in pieces {
            used += piece.tokens
            if used > room { break }
            let count = piece.text.unicodeScalars.count
            if piece.kind == .answer { answers.append(scalars..<scalars + count) }
            text += piece.text
            scalars += count
        }
        return (text, answers)
    }

    /// Paragraphs of the first half that come again between those of the second; each of their words counts, but for the first few.
    func copy(room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Content {
        let plain = try haystack.paragraphs(room: room * 3 / 4, random: &random)
        let middle = plain.count / 2
        let candidates = plain[..<middle].filter { Self.words(of: $0).count > Self.unknownWords }.shuffled(using: &random)
        var left = room - plain.reduce(0) { $0 + haystack.tokenizer.encode($1).count }
        let again = candidates.filter { paragraph in
            let tokens = haystack.tokenizer.encode(paragraph).count
            guard tokens <= left else { return false }
            left -= tokens
            return true
        }
        guard !again.isEmpty else { throw Self.tooShort(room) }
        var text = plain[..<middle].joined()
        var words: [Range<Int>] = []
        var next = 0
        for (index, paragraph) in plain[middle...].enumerated() {
            text += paragraph
            while next < again.count * (index + 1) / (plain.count - middle) {
                let start = text.unicodeScalars.count
                words += Self.words(of: again[next]).dropFirst(Self.unknownWords).map { $0.lowerBound + start..<$0.upperBound + start }
                text += again[next]
                next += 1
            }
        }
        return .reading(text: text, answers: words)
    }

    private static func tooShort(_ room: Int) -> InputError {
        InputError(.usage, field: "length", value: "\(room)", rule: "is too short for something to ask in the text")
    }

    /// Words with the space before them, in Unicode scalars.
    private static func words(of paragraph: String) -> [Range<Int>] {
        let isSpace = paragraph.unicodeScalars.map(\.properties.isWhitespace)
        // A word begins where its space does, or at the paragraph's start.
        let starts = isSpace.indices.dropLast().filter { isSpace[$0] ? !isSpace[$0 + 1] : $0 == 0 }
        let ends = isSpace.indices.filter { isSpace[$0] && $0 > 0 && !isSpace[$0 - 1] }
        return zip(starts, ends).map { $0..<$1 }
    }
}
