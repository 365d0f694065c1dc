import AttentionCore
import ModelFormats

/// A text's paragraphs, to hide facts between. They are cut only where they are too long to be of use.
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
    private let text: String

    /// - Parameter text: its lines are the paragraphs.
    init(text: String, tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        self.text = text
        paragraphs = Paragraphs.of(text).map { ($0, tokenizer.encode($0).count) }
    }

    /// Paragraphs of at most an eighth of `room` tokens or so: for texts whose lines do not fit.
    func cutParagraphs(room: Int) -> [String] {
        let tokens = max(1, paragraphs.reduce(0) { $0 + $1.tokens })
        return Paragraphs.of(text, longest: max(16, text.utf8.count / tokens * max(1, room / 8)))
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
        var prompt = Self.insert(insertions, into: hay) + question
        // Some tokenizers make more tokens of the whole than of its lines.
        while !hay.isEmpty, tokenizer.encode(prompt + answer + "\n").count > room {
            hay.removeLast()
            prompt = Self.insert(insertions, into: hay) + question
        }
        return prompt
    }

    private static func insert(_ insertions: [Insertion], into hay: [String]) -> String {
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
        let first = Self.start(of: paragraphs.count, random: &random)
        let whole = Self.fill(room, with: paragraphs[first...] + paragraphs[..<first])
        if 2 * whole.tokens >= room { return whole.hay }
        let pieces = cutParagraphs(room: room)
        let start = Self.start(of: pieces.count, random: &random)
        let cut = Self.fill(room, with: (pieces[start...] + pieces[..<start]).lazy.map { ($0, tokenizer.encode($0).count) })
        guard 2 * cut.tokens >= room else {
            throw InputError(
                .invalidData, field: "text", value: "\(cut.tokens) tokens",
                rule: "must have paragraphs that fill the \(room) tokens around the facts at least half")
        }
        return cut.hay
    }

    private static func start(of count: Int, random: inout SeededGenerator) -> Int { Int(random.next() % UInt64(max(1, count / 2))) }

    private static func fill(
        _ room: Int, with paragraphs: some Sequence<(text: String, tokens: Int)>
    ) -> (hay: [String], tokens: Int) {
        var hay: [String] = []
        var used = 0
        for paragraph in paragraphs where used + paragraph.tokens <= room {
            hay.append(paragraph.text)
            used += paragraph.tokens
            // Close enough: the next paragraphs would only be picked for their shortness.
            if room - used < 8 { break }
        }
        return (hay, used)
    }
}
