import AttentionCore
import ModelFormats

/// Texts that are read along: what is scored stands all through them, so that every row of a prefill is tested.
extension TaskMaker {
    /// Facts, and questions about earlier facts with their answers.
    func interleaved(room: Int, random: SeededGenerator) throws(InputError) -> EvaluationTask.Content {
        var texture = WovenText.Texture(length: room)
        texture.tokensPerRepetition = .max
        let (text, answers) = try woven(texture, room: room, random: random, strand: .answer) { [0..<$0.unicodeScalars.count] }
        return .reading(text: text, answers: answers)
    }

    /// Paragraphs that stood earlier; each of their words counts, but for the first few, which cannot be known.
    func copy(room: Int, random: SeededGenerator) throws(InputError) -> EvaluationTask.Content {
        var texture = WovenText.Texture(length: room)
        (texture.tokensPerFact, texture.tokensPerQuestion) = (.max, .max)
        texture.tokensPerRepetition = max(150, min(texture.tokensPerRepetition, room / 16))
        let (text, words) = try woven(texture, room: room, random: random, strand: .repetition) { paragraph in
            Self.words(of: paragraph, after: texture.repetitionLead)
        }
        return .reading(text: text, answers: words)
    }

    /// As many whole pieces as fit, and spans of the text that each piece of a strand asks for.
    ///
    /// - Parameter asked: spans of a piece's text; all of it counts from 0, in Unicode scalars.
    private func woven(
        _ texture: WovenText.Texture, room: Int, random: SeededGenerator, strand: TextWeaver.Strand, asked: (Substring) -> [Range<Int>]
    ) throws(InputError) -> (text: String, spans: [Range<Int>]) {
        let tooShort = InputError(.usage, field: "length", value: "\(room)", rule: "is too short for something to ask in the text")
        guard !haystack.paragraphs.isEmpty, room > 0 else { throw tooShort }
        let pieces = TextWeaver.weave(
            haystack.paragraphs.map(\.text), texture: texture, room: room, random: random, tokenizer: haystack.tokenizer)
        var (text, spans, used, scalars): (String, [Range<Int>], Int, Int) = ("", [], 0, 0)
        for piece in pieces {
            used += piece.tokens
            if used > room { break }
            if piece.strand == strand {
                spans += asked(piece.text[...]).map { $0.lowerBound + scalars..<$0.upperBound + scalars }
            }
            text += piece.text
            scalars += piece.text.unicodeScalars.count
        }
        guard !spans.isEmpty else { throw tooShort }
        return (text, spans)
    }

    /// Words with the space before them, from the one after the `lead`-th on.
    private static func words(of paragraph: Substring, after lead: Int) -> [Range<Int>] {
        let isSpace = paragraph.unicodeScalars.map(\.properties.isWhitespace)
        // A word begins where its space does, or at the paragraph's start.
        let starts = isSpace.indices.dropLast().filter { isSpace[$0] ? !isSpace[$0 + 1] : $0 == 0 }
        let ends = isSpace.indices.filter { isSpace[$0] && $0 > 0 && !isSpace[$0 - 1] }
        return Array(zip(starts, ends).map { $0..<$1 }.dropFirst(lead))
    }
}
