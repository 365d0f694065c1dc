/// Few-shot classification: 1/n when the right class is one of the n classes whose names occur in the answer, else 0.
///
/// Classes that the right class's own name contains (such as "location" in "other location") do not count.
///
/// Source: LongBench (arXiv 2308.14508), TREC and LSHT. (Its program keeps the second of two such classes in a row.)
enum ClassificationScore {
    static func score(_ answer: String, known: String, classes: [String]) -> Double {
        let (answer, known) = (Array(answer.unicodeScalars), Array(known.unicodeScalars))
        let named = classes.map { Array($0.unicodeScalars) }.filter { name in
            answer.contains(name) && (name == known || !known.contains(name))
        }
        return named.contains(known) ? 1 / Double(named.count) : 0
    }
}
