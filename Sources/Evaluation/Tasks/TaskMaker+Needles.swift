import AttentionCore

extension TaskMaker {
    /// One of some facts is asked, which stands at `depth`; the others stand anywhere.
    func needle(facts count: Int, depth: Double, room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let facts = NeedleFact.distinct(count, using: &random)
        let others = facts.dropFirst().map { Haystack.Insertion($0.statement, at: random.uniform()) }
        let insertions = ([Haystack.Insertion(facts[0].statement, at: depth)] + others).sorted { $0.place < $1.place }
        return try question(
            "What is the secret code of \(facts[0].name)?", answers: [facts[0].code], about: insertions, room: room, random: &random)
    }

    /// One name has several codes, spread over the text in equal parts, and all are asked for; other names have one.
    func needle(values: Int, facts count: Int, room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let names = NeedleFact.distinct(count, using: &random)
        let codes = NeedleFact.distinct(values, using: &random).map(\.code).withoutRepeats
        let asked = codes.enumerated().map { index, code in
            Haystack.Insertion(
                NeedleFact(name: names[0].name, code: code).statement, at: (Double(index) + random.uniform()) / Double(codes.count))
        }
        let others = names.dropFirst().map { Haystack.Insertion($0.statement, at: random.uniform()) }
        return try question(
            "What are all the secret codes of \(names[0].name)?", answers: codes, scorer: .recall,
            about: (asked + others).sorted { $0.place < $1.place }, room: room, random: &random)
    }

    /// `VAR K3 = 51962.`, `VAR Q7 = VAR K3.`: chains of up to three copies; one that is a copy is asked where there is any.
    func variable(facts count: Int, room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let names = "ABCDEFGHJKLMNPQRSTUVWXYZ".flatMap { letter in (0..<10).map { "\(letter)\($0)" } }.shuffled(using: &random)
        var known: [(name: String, value: String, copies: Int)] = []
        var sentences: [String] = []
        for name in names.prefix(count) {
            if let source = known.filter({ $0.copies < 3 }).randomElement(using: &random), random.uniform() < 0.6 {
                sentences.append("VAR \(name) = VAR \(source.name).")
                known.append((name, source.value, source.copies + 1))
            } else {
                let value = NeedleFact.code(using: &random)
                sentences.append("VAR \(name) = \(value).")
                known.append((name, value, 0))
            }
        }
        let copies = known.filter { $0.copies > 0 }
        let asked = (copies.isEmpty ? known : copies).randomElement(using: &random)!
        return try question(
            "What is the value of VAR \(asked.name)?", answers: [asked.value], about: strewn(sentences, random: &random), room: room,
            random: &random)
    }

    /// Five code words, the most frequent of them twice as often as the next: six times, then three, two, two and once.
    func aggregation(room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let words = NeedleFact.distinct(5, using: &random).map(\.name)
        let sentences = zip(words, [6, 3, 2, 2, 1]).flatMap { word, times in
            Array(repeating: "The watchword is \(word).", count: times)
        }.shuffled(using: &random)
        return try question(
            "Which watchword comes most often?", answers: [words[0]], about: strewn(sentences, random: &random), room: room,
            random: &random)
    }
}
