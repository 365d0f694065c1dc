import AttentionCore

// The `model` of a `tokenizer.json`.

extension Vocabulary {
    /// The vocabulary of a byte-pair model.
    init(bytePairs model: JSONFields, added: [AddedToken]) throws(InputError) {
        guard let entries = try model.fields("vocab")?.object.members else { throw model.error("vocab", "is missing") }
        try self.init(entries, added: added, place: .json(model))
    }
}

extension BytePairEncoder {
    /// - Parameter isByteLevel: true when a step before has spelt bytes with characters.
    /// - Throws: `InputError` (`unsupported`), naming the setting, for variants that are not known; `invalidData` for merges of what is no
    ///   token, and an unknown token that is missing.
    init(_ model: JSONFields, _ vocabulary: Vocabulary, isByteLevel: Bool) throws(InputError) {
        for member in ["continuing_subword_prefix", "end_of_word_suffix"] {
            guard let value = model.value(member), value.string != "" else { continue }
            throw model.error(member, "only null is supported", code: .unsupported)
        }
        guard try model.number("dropout", in: 0...1, default: 0) == 0 else {
            throw model.error("dropout", "only 0 is supported", code: .unsupported)
        }
        if let text = model.value("unk_token"), text.string == nil { throw model.error("unk_token", "must be a text") }
        let unknown = UnknownTokens(
            text: model.value("unk_token")?.string, fuses: try model.bool("fuse_unk", default: false),
            fallsBack: try model.bool("byte_fallback", default: false), field: model.name("unk_token"))
        let merges = try Self.merges(model, vocabulary)
        let ignoresMerges = try model.bool("ignore_merges", default: false)
        if isByteLevel {
            self.init(
                symbols: try .bytes(vocabulary, unknown), merges: MergeTable(merges),
                wholePieces: ignoresMerges ? vocabulary.idsByBytes : nil)
        } else {
            self.init(
                symbols: try .scalars(vocabulary, unknown), merges: MergeTable(merges),
                wholePieces: ignoresMerges ? vocabulary.idsByText : nil, wordCut: WordCut(vocabulary, merges))
        }
    }

    private static func merges(_ model: JSONFields, _ vocabulary: Vocabulary) throws(InputError) -> [MergeTable.Merge] {
        var merges: [MergeTable.Merge] = []
        for (index, value) in try model.array("merges").enumerated() {
            guard let (left, right) = pair(value) else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("merges[\(index)]"), value: value.summary,
                    rule: "must be two tokens")
            }
            guard let merge = vocabulary.merge(left, right) else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("merges[\(index)]"), value: value.summary,
                    rule: "both tokens and their union must be in the vocabulary")
            }
            merges.append(merge)
        }
        return merges
    }

    /// A merge is written ["a", "b"] or "a b".
    private static func pair(_ value: JSONValue) -> (String, String)? {
        if let parts = value.array {
            guard parts.count == 2, let left = parts[0].string, let right = parts[1].string else { return nil }
            return left.isEmpty || right.isEmpty ? nil : (left, right)
        }
        return value.string.flatMap(MergeTable.pair)
    }
}

extension MergeTable {
    /// The two tokens of a merge written "a b", or nil when it is none.
    static func pair(_ text: String) -> (String, String)? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}

extension Vocabulary {
    /// The tokens of two texts and of their union, or nil when one of them is none.
    func merge(_ left: String, _ right: String) -> MergeTable.Merge? {
        guard let leftToken = id(left), let rightToken = id(right), let merged = id(left + right) else { return nil }
        return (leftToken, rightToken, merged)
    }

    /// The model's tokens by their bytes.
    var idsByText: [[UInt8]: Int32] {
        Dictionary(ids.map { (Array($0.key.text.utf8), $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

extension PieceEncoder {
    /// The vocabulary and the encoder of a Unigram model.
    ///
    /// - Throws: `InputError` (`invalidData`) for entries that are no token and score, and an unknown token that is missing.
    static func unigram(_ model: JSONFields, added: [AddedToken]) throws(InputError) -> (Vocabulary, PieceEncoder) {
        var tokens: [String] = []
        var scores: [Double] = []
        for (index, value) in try model.array("vocab").enumerated() {
            guard let pair = value.array, pair.count == 2, let text = pair[0].string, let score = pair[1].number, score.isFinite,
                abs(score) <= UnigramEncoder.largestScore
            else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("vocab[\(index)]"), value: value.summary,
                    rule: "must be a token and its score")
            }
            tokens.append(text)
            scores.append(score)
        }
        guard !tokens.isEmpty else { throw model.error("vocab", "must hold tokens") }
        let unknown =
            model.value("unk_id") == nil ? nil : Int32(try model.integer("unk_id", in: 0...tokens.count - 1))
        let vocabulary = try Vocabulary(tokens, added: added, place: .json(model))
        let encoder = try UnigramEncoder(
            vocabulary, scores: scores, unknown: unknown, fallsBack: try model.bool("byte_fallback", default: false))
        return (vocabulary, .unigram(encoder))
    }
}
