import AttentionCore
import ModelFormats

/// A text's paragraphs, never cut, to hide facts between.
struct Haystack: Sendable {
    /// A sentence of its own line, and where it goes: 0 is before the first paragraph, 1 after the last.
    struct Insertion: Sendable {
        let line: String
        let place: Double

        init(_ sentence: String, at place: Double) {
            line = sentence + "\n"
            self.place = place
        }
    }

    let paragraphs: [(text: String, tokens: Int)]
    let tokenizer: Tokenizer

    /// - Parameter text: its lines are the paragraphs.
    init(text: String, tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        paragraphs = text.split(whereSeparator: \.isNewline).map { line in
            let paragraph = line + "\n"
            return (String(paragraph), tokenizer.encode(String(paragraph)).count)
        }
    }

    /// Paragraphs with insertions between them, in the insertions' order where their places are equal, and a question at the end.
    ///
    /// - Parameters:
    ///   - room: tokens for all of it and for `answer`, which is not in the result.
    ///   - insertions: by ascending place.
    /// - Throws: `InputError` when the insertions alone do not fit, or the text is too short.
    func prompt(
        room: Int, insertions: [Insertion], question: String, answer: String, random: inout SeededGenerator
    ) throws(InputError) -> String {
        let own = tokenizer.encode(insertions.map(\.line).joined() + question + answer + "\n").count
        guard room > own else {
            throw InputError(
                .usage, field: "length", value: "\(room)", rule: "is too short for \(insertions.count) facts and a question")
        }
        var hay = try paragraphs(room: room - own, random: &random)
        var prompt = Self.weave(insertions, into: hay) + question
        // Some tokenizers make more tokens of the whole than of its lines.
        while !hay.isEmpty, tokenizer.encode(prompt + answer + "\n").count > room {
            hay.removeLast()
            prompt = Self.weave(insertions, into: hay) + question
        }
        return prompt
    }

    private static func weave(_ insertions: [Insertion], into hay: [String]) -> String {
        var text = ""
        var next = 0
        for index in 0...hay.count {
            while next < insertions.count, Int((insertions[next].place * Double(hay.count)).rounded()) <= index {
                text += insertions[next].line
                next += 1
            }
            if index < hay.count { text += hay[index] }
        }
        return text
    }

    /// Paragraphs in order from a random place in the first half, to the text's end and on from its start, of at most `room`
    /// tokens; one too long for what is left is passed over. None is used twice.
    ///
    /// - Throws: `InputError` (`invalidData`) when they do not fill half of the room.
    func paragraphs(room: Int, random: inout SeededGenerator) throws(InputError) -> [String] {
        let first = Int(random.next() % UInt64(max(1, paragraphs.count / 2)))
        var hay: [String] = []
        var used = 0
        for paragraph in paragraphs[min(first, paragraphs.count)...] + paragraphs[..<first] where used + paragraph.tokens <= room {
            hay.append(paragraph.text)
            used += paragraph.tokens
            // Close enough: the next paragraphs would only be picked for their shortness.
            if room - used < 8 { break }
        }
        guard 2 * used >= room else {
            throw InputError(
                .invalidData, field: "text", value: "\(used) tokens",
                rule: "must have paragraphs that fill the \(room) tokens around the facts at least half")
        }
        return hay
    }
}
