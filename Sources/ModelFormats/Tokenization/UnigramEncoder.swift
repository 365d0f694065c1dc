import AttentionCore

/// Cuts a piece into the tokens whose scores add up highest (Viterbi).
///
/// A character that no token is made for counts as the unknown token, at a score below all others; unknown characters in a row are one.
/// Source: Kudo, "Subword Regularization" (arXiv 1804.10959), §3.2, with the details of Hugging Face's `tokenizers`, whose ids are matched.
struct UnigramEncoder: Sendable {
    /// What an unknown character costs beyond the lowest score.
    private static let unknownPenalty = 10.0
    /// Larger scores are none: their sums would have no room for differences.
    static let largestScore = 1e9

    private let trie: TokenTrie
    /// By token.
    private let scores: [Double]
    private let unknown: Int32?
    private let unknownScore: Double
    private let ids: [ExactText: Int32]
    /// `byte_fallback`: by byte the token that spells it, `SymbolTokens.none` for missing ones; nil where it is off.
    private let byteCodes: [Int32]?

    /// - Parameters:
    ///   - scores: by token, at most `largestScore` in magnitude.
    ///   - unknown: the token for what has none; without one such characters give nothing.
    /// - Throws: `InputError` (`invalidData`) when the vocabulary is longer than can be indexed.
    init(_ vocabulary: Vocabulary, scores: [Double], unknown: Int32?, fallsBack: Bool) throws(InputError) {
        let bytes = vocabulary.ids.keys.reduce(0) { $0 + $1.text.utf8.count }
        guard bytes < TokenTrie.mostNodes else {
            throw vocabulary.place.error("must be less than \(TokenTrie.mostNodes) bytes in all", value: "\(bytes) bytes")
        }
        trie = TokenTrie(vocabulary.ids.map { ($0.key.text, $0.value) })
        ids = vocabulary.ids
        byteCodes = fallsBack ? vocabulary.byteCodes.map { $0 ?? SymbolTokens.none } : nil
        self.scores = scores
        self.unknown = unknown
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    }

    /// The best way to a position.
    fileprivate struct Step {
        var score = 0.0
        /// Where its last token begins; -1 before there is a way.
        var start = -1
        var token: Int32 = 0
    }

    /// Memory that one text's pieces share.
    struct Scratch {
        fileprivate var steps: [Step] = []
        fileprivate var path: [(range: Range<Int>, token: Int32)] = []
    }

    /// Appends the tokens of `piece`, and of each the bytes it stands for, counted from the beginning of the piece.
    func encode(
        _ piece: UnsafeBufferPointer<UInt8>, with scratch: inout Scratch, into tokens: inout [Int32], _ ranges: inout [Range<Int>]
    ) {
        findSteps(piece, &scratch.steps)
        collectPath(&scratch)
        for (range, token) in scratch.path {
            if token != unknownMark {
                tokens.append(token)
                ranges.append(range)
            } else {
                appendUnknown(range, of: piece, into: &tokens, &ranges)
            }
        }
    }

    /// What stands for an unknown character on the way.
    private var unknownMark: Int32 { unknown ?? SymbolTokens.none }

    private func findSteps(_ piece: UnsafeBufferPointer<UInt8>, _ steps: inout [Step]) {
        steps.removeAll(keepingCapacity: true)
        steps.append(contentsOf: repeatElement(Step(), count: piece.count + 1))
        steps.withUnsafeMutableBufferPointer { steps in
            func reach(_ end: Int, from start: Int, _ token: Int32, _ score: Double) {
                let total = steps[start].score + score
                if steps[end].start < 0 || total > steps[end].score { steps[end] = Step(score: total, start: start, token: token) }
            }
            var start = 0
            while start < piece.count {
                let next = TextScalars.scalar(at: start, of: piece).next
                var isSingle = false
                trie.forEachToken(from: start, in: piece) { token, end in
                    reach(end, from: start, token, scores[Int(token)])
                    if end == next { isSingle = true }
                }
                if !isSingle { reach(next, from: start, unknownMark, unknownScore) }
                start = next
            }
        }
    }

    /// From the end to the beginning, unknown characters in a row as one.
    private func collectPath(_ scratch: inout Scratch) {
        scratch.path.removeAll(keepingCapacity: true)
        var end = scratch.steps.count - 1
        while end > 0 {
            let step = scratch.steps[end]
            if step.token == unknownMark, let last = scratch.path.last, last.token == unknownMark {
                scratch.path[scratch.path.count - 1].range = step.start..<last.range.upperBound
            } else {
                scratch.path.append((step.start..<end, step.token))
            }
            end = step.start
        }
        scratch.path.reverse()
    }

    /// A token that spells it after all, the tokens of its bytes, or the unknown token.
    private func appendUnknown(
        _ range: Range<Int>, of piece: UnsafeBufferPointer<UInt8>, into tokens: inout [Int32], _ ranges: inout [Range<Int>]
    ) {
        if let token = ids[ExactText(String(decoding: piece[range], as: UTF8.self))] {
            tokens.append(token)
            ranges.append(range)
        } else if let byteCodes, range.allSatisfy({ byteCodes[Int(piece[$0])] != SymbolTokens.none }) {
            for position in range {
                tokens.append(byteCodes[Int(piece[position])])
                ranges.append(range)
            }
        } else if let unknown {
            tokens.append(unknown)
            ranges.append(range)
        }
    }
}
