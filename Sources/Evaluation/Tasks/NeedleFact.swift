import AttentionCore

/// A fact that can be asked for: a name nothing else in a text explains, and a code of five digits.
public struct NeedleFact: Sendable, Hashable {
    public let name, code: String

    public var statement: String { "The secret code of \(name) is \(code)." }
    /// Ends where the answer begins, which is a space and the code.
    public var question: String { "Question: What is the secret code of \(name)?\nAnswer:" }

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

    /// Distinct names there are.
    public static var mostFacts: Int { qualities.count * things.count }

    /// Facts of different names.
    ///
    /// - Parameter count: at most `mostFacts`.
    public static func distinct(_ count: Int, using random: inout SeededGenerator) -> [NeedleFact] {
        precondition(count <= mostFacts, "there are not so many names")
        var names: [String] = []
        while names.count < count {
            let name = "\(qualities.randomElement(using: &random)!) \(things.randomElement(using: &random)!)"
            if !names.contains(name) { names.append(name) }
        }
        return names.map { NeedleFact(name: $0, code: code(using: &random)) }
    }

    /// Five digits.
    static func code(using random: inout SeededGenerator) -> String {
        String((0..<5).map { _ in "0123456789".randomElement(using: &random)! })
    }
}
