import AttentionCore
import ModelFormats

/// Makes needle-in-a-haystack prompts: facts to look up, strewn over a text, and one of them asked at the end.
public struct NeedlePrompt: Sendable {
    private let tokenizer: Tokenizer
    private let paragraphs: [(text: String, tokens: Int)]

    /// - Parameter text: the haystack; its lines are never cut.
    public init(text: String, tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        paragraphs = text.split(separator: "\n").map { line in
            let paragraph = line + "\n"
            return (String(paragraph), tokenizer.encode(String(paragraph)).count)
        }
    }

    /// A prompt of at most `length` tokens, begin-of-text and answer included, with `facts` facts.
    ///
    /// - Throws: `InputError` when the facts alone do not fit, or the text is too short for the length.
    public func task(length: Int, facts count: Int = 8, seed: UInt64, number: Int) throws(InputError) -> EvaluationTask {
        var random = SeededGenerator.derived(seed: seed, length, number)
        let needles = NeedleFact.distinct(count, using: &random)
        let facts = needles.map { $0.statement + "\n" }
        let asked = needles[Int(random.next() % UInt64(count))]
        let room = length - 2 - tokenizer.encode(facts.joined() + asked.question + " \(asked.code)\n").count
        guard room > 0 else {
            throw InputError(.usage, field: "length", value: "\(length)", rule: "is too short for \(count) facts and a question")
        }
        let hay = haystack(room: room, random: &random)
        let filled = hay.reduce(0) { $0 + tokenizer.encode($1).count }
        guard 2 * filled >= room else {
            throw InputError(
                .invalidData, field: "text", value: "\(filled) tokens",
                rule: "must have paragraphs that fill the \(room) tokens around the facts at least half")
        }
        let spots = facts.map { _ in Int(random.next() % UInt64(hay.count + 1)) }.sorted()
        var prompt = ""
        var next = 0
        for index in 0...hay.count {
            while next < spots.count, spots[next] == index {
                prompt += facts[next]
                next += 1
            }
            if index < hay.count { prompt += hay[index] }
        }
        return EvaluationTask(
            id: "needle-\(length)-\(number)", name: "needle", length: length,
            content: .question(.init(prompt: prompt + asked.question, answers: [asked.code])))
    }

    /// Paragraphs in order from a random place in the first half, to the text's end and on from its start, of at most `room`
    /// tokens; one too long for what is left is passed over. None is used twice.
    private func haystack(room: Int, random: inout SeededGenerator) -> [String] {
        let first = Int(random.next() % UInt64(max(1, paragraphs.count / 2)))
        var hay: [String] = []
        var used = 0
        for paragraph in paragraphs[first...] + paragraphs[..<first] where used + paragraph.tokens <= room {
            hay.append(paragraph.text)
            used += paragraph.tokens
            // Close enough: the next paragraphs would only be picked for their shortness.
            if room - used < 8 { break }
        }
        return hay
    }
}
