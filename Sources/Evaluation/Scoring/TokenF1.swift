/// Word-level F1 of question answering: F₁ = 2PR/(P + R), P = c/|answer|, R = c/|known|, with c the words the two share,
/// counted as often as both have them; 0 when they share none.
///
/// Words are what is left after lower-casing, deleting ASCII punctuation and the articles a, an and the.
///
/// Source: SQuAD (arXiv 1606.05250), section 6.1; LongBench uses it for its question-answering datasets.
enum TokenF1 {
    static func score(_ answer: String, known: String) -> Double {
        let (answer, known) = (words(answer), words(known))
        var left = Dictionary(known.map { ($0, 1) }, uniquingKeysWith: +)
        var shared = 0
        for word in answer where left[word, default: 0] > 0 {
            left[word]! -= 1
            shared += 1
        }
        guard shared > 0 else { return 0 }
        let (precision, recall) = (Double(shared) / Double(answer.count), Double(shared) / Double(known.count))
        return 2 * precision * recall / (precision + recall)
    }

    private static let articles: Set<ScalarText> = Set(["a", "an", "the"].map { Array($0.unicodeScalars) })

    static func words(_ text: String) -> [ScalarText] {
        withoutArticles(Array(text.unicodeScalars).lowered.filter { !$0.isASCIIPunctuation }).words
    }

    /// Each article that stands between other characters than letters and numbers becomes a space.
    private static func withoutArticles(_ text: ScalarText) -> ScalarText {
        var kept: ScalarText = []
        var index = 0
        while index < text.count {
            let run = text[index...].prefix(while: \.isWordCharacter)
            if run.isEmpty {
                kept.append(text[index])
                index += 1
            } else {
                kept += articles.contains(Array(run)) ? [" "] : run
                index = run.endIndex
            }
        }
        return kept
    }
}
