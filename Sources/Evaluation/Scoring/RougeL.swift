/// ROUGE-L of whole texts: F = 2PR/(P + R + 10⁻⁸), P = |U|/|answer|, R = |U|/|known|, where both texts count as sets of
/// words and U are the words of the longest common subsequences of all pairs of their sentences.
///
/// Sentences end at full stops. Among longest common subsequences the one is taken that is found from the end, at ties by leaving
/// out a word of the answer, because U and so the score depend on it.
///
/// Source: Lin, "ROUGE: a package for automatic evaluation of summaries" (2004), section 3.2, with sets and the 10⁻⁸ of the Python
/// package `rouge` 1.0.1, which LongBench uses. (That package gives up on sentence pairs of some thousand words; this does not.)
/// Complexity: O(|answer| · |known|).
enum RougeL {
    static func score(_ answer: String, known: String) -> Double {
        var ids: [ScalarText: Int32] = [:]
        let (answer, known) = (sentences(answer, ids: &ids), sentences(known, ids: &ids))
        guard !answer.isEmpty, !known.isEmpty else { return 0 }
        var common: Set<Int32> = []
        for sentence in known {
            for other in answer { common.formUnion(longestCommonSubsequence(sentence, other)) }
        }
        let precision = Double(common.count) / Double(Set(answer.joined()).count)
        let recall = Double(common.count) / Double(Set(known.joined()).count)
        return 2 * precision * recall / (precision + recall + 1e-8)
    }

    /// The words of each sentence, numbered. A sentence of white space is one empty word; nothing between two full stops is none.
    private static func sentences(_ text: String, ids: inout [ScalarText: Int32]) -> [[Int32]] {
        text.unicodeScalars.split(separator: ".").map { sentence in
            let words = Array(sentence).words
            return (words.isEmpty ? [[]] : words).map { word in
                let id = ids[word] ?? Int32(ids.count)
                ids[word] = id
                return id
            }
        }
    }

    private static func longestCommonSubsequence(_ known: [Int32], _ answer: [Int32]) -> Set<Int32> {
        let width = answer.count + 1
        var lengths = [Int32](repeating: 0, count: (known.count + 1) * width)
        for row in known.indices {
            for column in answer.indices {
                let place = (row + 1) * width + column + 1
                lengths[place] =
                    known[row] == answer[column]
                    ? lengths[place - width - 1] + 1 : max(lengths[place - width], lengths[place - 1])
            }
        }
        var words: Set<Int32> = []
        var (row, column) = (known.count, answer.count)
        while row > 0, column > 0 {
            let place = row * width + column
            if known[row - 1] == answer[column - 1] {
                words.insert(known[row - 1])
                (row, column) = (row - 1, column - 1)
            } else if lengths[place - width] > lengths[place - 1] {
                row -= 1
            } else {
                column -= 1
            }
        }
        return words
    }
}
