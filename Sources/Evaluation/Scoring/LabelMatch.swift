/// 1 when the labels that occur in the answer's first sentence, in lower case, are all known answers and no other; else 0.
///
/// The sentence ends at the first full stop, or where a model goes on with an example of its own (`<context>`, `<example>`). Labels
/// that the question names are never right and do not count: the reader leaves them out of `classes`. A label counts wherever its
/// letters stand, so "none" names "one" too.
///
/// Source: BABILong (arXiv 2406.10149), `babilong/metrics.py` of its repository.
enum LabelMatch {
    static func score(_ answer: String, known: [String], classes: [String]) -> Double {
        let sentence = sentence(lowered(answer))
        let named = classes.map(lowered).filter { sentence.contains($0) }
        return Set(named) == Set(known.map(lowered)) ? 1 : 0
    }

    static func lowered(_ text: String) -> ScalarText { Array(text.unicodeScalars).lowered }

    private static func sentence(_ answer: ScalarText) -> ScalarText {
        let ends = [".", "<context>", "<example>"].compactMap { answer.firstRange(of: Array($0.unicodeScalars))?.lowerBound }
        return Array(answer[..<(ends.min() ?? answer.endIndex)])
    }
}
