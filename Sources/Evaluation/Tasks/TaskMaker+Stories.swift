import AttentionCore

/// Who went where, and with what: the first two tasks of bAbI (arXiv 1502.05698), strewn over prose as BABILong does.
extension TaskMaker {
    private static let people = ["Mary", "John", "Daniel", "Sandra", "Alice", "Bruno", "Carla", "David", "Emma", "Felix"]
    private static let places = [
        "kitchen", "garden", "office", "bedroom", "hallway", "bathroom", "cellar", "attic", "library", "stable",
    ]
    private static let objects = ["apple", "football", "milk", "book", "lamp", "letter", "coin", "rope"]

    /// Several people move several times; the last move of one of them is asked for.
    func whereIsPerson(facts count: Int, room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let people = Self.people.shuffled(using: &random).prefix(max(2, count / 3))
        var stands: [String: String] = [:]
        var sentences: [String] = []
        for _ in 0..<max(1, count) {
            let person = people.randomElement(using: &random)!
            let place = Self.places.randomElement(using: &random)!
            sentences.append("\(person) moved to the \(place).")
            stands[person] = place
        }
        let asked = people.filter { stands[$0] != nil }.randomElement(using: &random)!
        return try question(
            "Where is \(asked)?", answers: [stands[asked]!], about: strewn(sentences, random: &random), room: room, random: &random)
    }

    /// Someone takes a thing and moves on, while others move too; where the thing is follows from the carrier's last move.
    func whereIsObject(facts count: Int, room: Int, random: inout SeededGenerator) throws(InputError) -> EvaluationTask.Question {
        let people = Array(Self.people.shuffled(using: &random).prefix(3))
        let object = Self.objects.randomElement(using: &random)!
        let carrier = people[0]
        var stands = ""
        var sentences: [String] = []
        // The carrier has moved before the taking and moves after it.
        let moves = max(4, count - 1)
        let taking = Int.random(in: 1..<moves - 1, using: &random)
        for move in 0..<moves {
            if move == taking { sentences.append("\(carrier) took the \(object).") }
            let isCarriers = move == 0 || move == taking || random.uniform() < 0.4
            let person = isCarriers ? carrier : people.dropFirst().randomElement(using: &random)!
            let place = Self.places.randomElement(using: &random)!
            sentences.append("\(person) moved to the \(place).")
            if isCarriers { stands = place }
        }
        return try question(
            "Where is the \(object)?", answers: [stands], about: strewn(sentences, random: &random), room: room, random: &random)
    }
}
