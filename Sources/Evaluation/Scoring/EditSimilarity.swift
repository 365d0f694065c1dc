/// Likeness of two lines of code: 1 − d/(|a| + |b|) in whole per cents, where d is the number of characters to delete and insert to
/// make one of the other; equal lines score 1.
///
/// The answer's line is its first without a backtick, `#` or `//`, which begin what is not code; newlines before it are passed over.
///
/// Source: LongBench (arXiv 2308.14508), LCC and RepoBench-P: `ratio` of the Python package `fuzzywuzzy` with `python-Levenshtein`
/// (`rapidfuzz` gives the same, not rounded). Complexity: O(|a| · |b|).
enum EditSimilarity {
    static func score(_ answer: String, known: String) -> Double {
        (100 * ratio(line(answer), Array(known.unicodeScalars))).rounded(.toNearestOrEven) / 100
    }

    /// Empty when every line has a mark.
    private static func line(_ answer: String) -> ScalarText {
        let lines = answer.unicodeScalars.drop { $0 == "\n" }.split(separator: "\n", omittingEmptySubsequences: false)
        let code = lines.first { line in !line.contains("`") && !line.contains("#") && !line.contains(["/", "/"]) }
        return code.map(Array.init) ?? []
    }

    /// |a| + |b| − d is twice the length of the longest common subsequence.
    private static func ratio(_ first: ScalarText, _ second: ScalarText) -> Double {
        guard first != second else { return 1 }
        var lengths = [Int](repeating: 0, count: second.count + 1)
        for scalar in first {
            var diagonal = 0
            for (index, other) in second.enumerated() {
                let above = lengths[index + 1]
                lengths[index + 1] = scalar == other ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        return Double(2 * lengths[second.count]) / Double(first.count + second.count)
    }
}
