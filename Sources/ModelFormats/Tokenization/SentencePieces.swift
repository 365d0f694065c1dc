import AttentionCore

/// The pieces of a SentencePiece vocabulary, which `tokenizer.model` and GGUF files hold alike.
struct SentencePieces: Sendable {
    /// The type of a piece, by the numbers of both formats.
    enum Kind: Int, Sendable {
        case normal = 1, unknown, control, userDefined, unused, byte
    }

    /// Longer pieces are none: the trainer makes them of 16 characters.
    private static let mostBytes = 1 << 10

    private(set) var texts: [String] = []
    private(set) var scores: [Float] = []
    private(set) var kinds: [Kind] = []

    mutating func append(_ text: String, score: Float, _ kind: Kind) {
        texts.append(text)
        scores.append(score)
        kinds.append(kind)
    }

    /// Gives a piece another text and type, as settings beside a model may.
    mutating func replace(_ id: Int, with text: String, _ kind: Kind) {
        texts[id] = text
        kinds[id] = kind
    }

    /// The first piece of type unknown.
    var unknown: Int32? { kinds.firstIndex(of: .unknown).map { Int32($0) } }

    /// Control, unknown and user-defined pieces are recognised in a text as they are written, as `tokenizers` does with added tokens.
    /// SentencePiece itself would spell out the first two. User-defined runs of spaces are recognised once spaces are U+2581.
    var added: [AddedToken] {
        kinds.indices.compactMap { id in
            switch kinds[id] {
            case .control, .unknown: AddedToken(id: Int32(id), text: texts[id], isSpecial: true)
            case .userDefined:
                AddedToken(
                    id: Int32(id), text: texts[id], isSpecial: false,
                    isNormalized: texts[id].unicodeScalars.contains { $0 == " " || $0 == "\u{2581}" })
            case .normal, .unused, .byte: nil
            }
        }
    }

    /// - Throws: `InputError` (`invalidData`) when a score is no number, or a piece is too long.
    func check(_ place: TokenPlace) throws(InputError) {
        for (id, kind) in kinds.enumerated() {
            guard scores[id].isFinite, abs(scores[id]) <= Float(UnigramEncoder.largestScore) else {
                throw place.error(texts[id], "\(scores[id])", "the score must be a number")
            }
            guard kind != .normal || texts[id].utf8.count <= Self.mostBytes else {
                throw place.error(
                    String(texts[id].unicodeScalars.prefix(20)), "\(texts[id].utf8.count) bytes", "must be at most \(Self.mostBytes) bytes")
            }
        }
    }

    /// The merges that lead to the pieces: every cut of a normal piece into two pieces. Better pieces come first, among equal ones the
    /// lower id, then the shorter left part.
    func merges(_ vocabulary: Vocabulary) -> [MergeTable.Merge] {
        let trie = TokenTrie(
            vocabulary.ids.compactMap { text, id in
                Int(id) < kinds.count && kinds[Int(id)] == .unused ? nil : (text.text, id)
            })
        var merges: [(merge: MergeTable.Merge, leftBytes: Int)] = []
        for (id, text) in texts.enumerated() where kinds[id] == .normal && vocabulary.id(text) == Int32(id) {
            var text = text
            text.withUTF8 { bytes in
                trie.forEachToken(from: 0, in: bytes) { left, end in
                    guard end < bytes.count, let right = trie.token(from: end, in: bytes) else { return }
                    merges.append(((left, right, Int32(id)), end))
                }
            }
        }
        merges.sort { first, second in
            let (one, other) = (Int(first.merge.merged), Int(second.merge.merged))
            if scores[one] != scores[other] { return scores[one] > scores[other] }
            return one != other ? one < other : first.leftBytes < second.leftBytes
        }
        return merges.map(\.merge)
    }
}

extension TokenTrie {
    /// The token that is all of a text from `start`, or nil.
    fileprivate func token(from start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int32? {
        var result: Int32?
        forEachToken(from: start, in: bytes) { token, end in
            if end == bytes.count { result = token }
        }
        return result
    }
}
