import AttentionCore
import ModelFormats

/// Makes long-context tasks from any text, for any tokenizer: facts interleaved into prose, and questions about them.
///
/// The same text, tokenizer and seed give the same tasks on every machine.
/// Source: needles, variables and word counts in the spirit of RULER (arXiv 2404.06654), facts in prose of BABILong (arXiv 2406.10149).
public struct TaskMaker: Sendable {
    /// How tasks are made.
    public struct Settings: Sendable, Hashable {
        /// Where the fact stands that is asked for, of kinds with depths: 0 is the text's beginning, 1 its end.
        public var depths = [0, 0.25, 0.5, 0.75, 1]
        /// Facts in the text, of kinds with several: names with a code, variables, moves.
        public var facts = 8
        /// Codes of one name, of needles with several values.
        public var values = 4

        public init() {}
    }

    let haystack: Haystack
    /// Tokens that the tokenizer puts around a prompt.
    private let affixTokens: Int

    /// - Parameter text: its lines are never cut.
    public init(text: String, tokenizer: Tokenizer) {
        haystack = Haystack(text: text, tokenizer: tokenizer)
        affixTokens = tokenizer.affixes.count
    }

    /// `count` tasks of a kind and length; of kinds with depths `count` for each of them.
    ///
    /// Task n of every depth has the same text and the same fact, so that only the place differs; kinds draw from the same stream.
    ///
    /// - Parameter length: tokens of the prompt at most, begin-of-text and answer included.
    /// - Throws: `InputError` when the length is too short for the facts, or the text for the length.
    public func make(
        _ kind: TaskKind, length: Int, count: Int, settings: Settings = Settings(), seed: UInt64
    ) throws(InputError) -> [EvaluationTask] {
        var tasks: [EvaluationTask] = []
        for depth in kind.hasDepths ? settings.depths.map(Optional.some) : [nil] {
            for number in 0..<count {
                var random = SeededGenerator.derived(seed: seed, length, number)
                let place = depth.map { "-\($0)" } ?? ""
                do throws(InputError) {
                    let room = length - affixTokens
                    tasks.append(
                        EvaluationTask(
                            id: "\(kind.rawValue)-\(length)\(place)-\(number)", name: kind.rawValue, length: length, depth: depth,
                            content: try content(kind, room: room, depth: depth, settings: settings, random: &random)))
                } catch  where error.field == "length" {
                    throw InputError(error.code, field: "length", value: "\(length)", rule: "\(error.rule) (\(kind.rawValue))")
                }
            }
        }
        return tasks
    }

    private func content(
        _ kind: TaskKind, room: Int, depth: Double?, settings: Settings, random: inout SeededGenerator
    ) throws(InputError) -> EvaluationTask.Content {
        switch kind {
        case .needleSingle: .question(try needle(facts: 1, depth: depth ?? 0.5, room: room, random: &random))
        case .needleMultiKey: .question(try needle(facts: settings.facts, depth: depth ?? 0.5, room: room, random: &random))
        case .needleMultiValue:
            .question(try needle(values: settings.values, facts: settings.facts, room: room, random: &random))
        case .variable: .question(try variable(facts: settings.facts, room: room, random: &random))
        case .whereIsPerson: .question(try whereIsPerson(facts: settings.facts, room: room, random: &random))
        case .whereIsObject: .question(try whereIsObject(facts: settings.facts, room: room, random: &random))
        case .aggregation: .question(try aggregation(room: room, random: &random))
        case .interleaved: try interleaved(room: room, random: random)
        case .copy: try copy(room: room, random: &random)
        case .perplexity: .reading(text: try haystack.paragraphs(room: room, random: &random).joined(), answers: [])
        }
    }

    /// A question whose prompt is prose with insertions.
    func question(
        _ text: String, answers: [String], scorer: AnswerScorer = .exactMatch, about insertions: [Haystack.Insertion], room: Int,
        random: inout SeededGenerator
    ) throws(InputError) -> EvaluationTask.Question {
        let prompt = try haystack.prompt(
            room: room, insertions: insertions, question: "Question: \(text)\nAnswer:", answer: " " + answers.joined(separator: ", "),
            random: &random)
        return EvaluationTask.Question(prompt: prompt, answers: answers, scorer: scorer)
    }

    /// Sentences in their order at ascending random places.
    func strewn(_ sentences: [String], random: inout SeededGenerator) -> [Haystack.Insertion] {
        let places = sentences.map { _ in random.uniform() }.sorted()
        return zip(sentences, places).map { Haystack.Insertion($0, at: $1) }
    }
}
