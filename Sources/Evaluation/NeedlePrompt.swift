import AttentionCore
import ModelFormats

/// Makes needle-in-a-haystack prompts: facts to look up, strewn over a text, and one of them asked at the end.
public struct NeedlePrompt: Sendable {
    private let tokenizer: Tokenizer
    private let paragraphs: [(text: String, tokens: Int)]

    private static let qualities = [
        "amber", "ancient", "bitter", "brave", "broken", "clever", "copper", "crimson", "distant", "dusty", "eager", "gentle", "golden",
        "hidden", "hollow", "ivory", "jolly", "lonely", "merry", "misty", "narrow", "noble", "patient", "quiet", "rapid", "royal",
        "silver", "sleepy", "solemn", "swift",
    ]
    private static let things = [
        "anchor", "arrow", "beacon", "bridge", "candle", "castle", "cherry", "comet", "daisy", "dragon", "engine", "falcon", "garden",
        "hammer", "island", "jewel", "kettle", "lantern", "meadow", "needle", "orchard", "pearl", "rabbit", "river", "sailor", "temple",
        "thunder", "valley", "violin", "willow",
    ]

    /// Distinct names there are for facts.
    public static var mostFacts: Int { qualities.count * things.count }

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
        var names: [String] = []
        while names.count < count {
            let name = "\(Self.qualities.randomElement(using: &random)!) \(Self.things.randomElement(using: &random)!)"
            if !names.contains(name) { names.append(name) }
        }
        let codes = names.map { _ in String((0..<5).map { _ in "0123456789".randomElement(using: &random)! }) }
        let facts = zip(names, codes).map { "The secret code of \($0) is \($1).\n" }
        let asked = Int(random.next() % UInt64(count))
        let question = "Question: What is the secret code of \(names[asked])?\nAnswer:"
        let room = length - 2 - tokenizer.encode(facts.joined() + question + " \(codes[asked])\n").count
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
            content: .question(prompt: prompt + question, answer: codes[asked]))
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
