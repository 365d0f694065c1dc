/// What makes tokens of a piece.
enum PieceEncoder: Sendable {
    case bytePairs(BytePairEncoder)
    case unigram(UnigramEncoder)

    /// Memory that one text's pieces share.
    struct Scratch {
        fileprivate var bytePairs = BytePairEncoder.Scratch()
        fileprivate var unigram = UnigramEncoder.Scratch()
    }

    /// Appends the tokens of `piece`, and of each the bytes it stands for, counted from the beginning of the piece.
    func encode(
        _ piece: UnsafeBufferPointer<UInt8>, with scratch: inout Scratch, into tokens: inout [Int32], _ ranges: inout [Range<Int>]
    ) {
        switch self {
        case .bytePairs(let encoder): encoder.encode(piece, with: &scratch.bytePairs, into: &tokens, &ranges)
        case .unigram(let encoder): encoder.encode(piece, with: &scratch.unigram, into: &tokens, &ranges)
        }
    }

    /// Calls `body` with parts of a piece that no token crosses, in order: what they give one by one is what the piece gives.
    func forEachPart(of piece: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        guard case .bytePairs(let encoder) = self, let cut = encoder.wordCut else { return body(piece) }
        cut.forEachPart(of: piece, in: bytes, body)
    }
}

/// Cuts a text that is one piece into its words, where nothing that is merged reaches from one word into the next.
///
/// SentencePiece vocabularies begin words with U+2581 and hold it nowhere else, so that merging word by word gives the same tokens, at
/// O(n) instead of O(n log n), and lets words that occur again be remembered.
struct WordCut: Sendable {
    /// U+2581 in UTF-8.
    private static let mark: [UInt8] = [0xE2, 0x96, 0x81]

    /// Nil when words cannot be told apart: without a token for U+2581, or where a merge gives one that holds it behind another character.
    init?(_ vocabulary: Vocabulary, _ merges: [MergeTable.Merge]) {
        guard vocabulary.id("\u{2581}") != nil else { return nil }
        for merge in merges {
            var isBehind = false
            for scalar in (vocabulary.texts[Int(merge.merged)] ?? "").unicodeScalars {
                if scalar != "\u{2581}" { isBehind = true } else if isBehind { return nil }
            }
        }
    }

    fileprivate func forEachPart(of piece: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        var start = piece.lowerBound
        var position = piece.lowerBound
        var isMarked = true
        while position < piece.upperBound {
            let isMark =
                position + 3 <= piece.upperBound && bytes[position] == Self.mark[0] && bytes[position + 1] == Self.mark[1]
                && bytes[position + 2] == Self.mark[2]
            if isMark, !isMarked {
                body(start..<position)
                start = position
            }
            isMarked = isMark
            position += isMark ? 3 : 1
        }
        if start < piece.upperBound { body(start..<piece.upperBound) }
    }
}
