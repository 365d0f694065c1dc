import AttentionCore

/// The tokens of a tokenizer: those of its model and those added to them.
struct Vocabulary: Sendable {
    /// The model's tokens as the file spells them. Merges and symbols use only these.
    let ids: [ExactText: Int32]
    /// The ids of the model's tokens are below this.
    let modelSize: Int
    /// The token of each id as the file spells it; nil for ids that no token has. Units: one element an id.
    let texts: [String?]
    /// The added tokens with the ids they get.
    let added: [AddedToken]
    let place: TokenPlace

    /// The tokens that a file numbers by name.
    ///
    /// - Throws: `InputError` (`invalidData`) when an id is negative or doubled, or an added token contradicts the model.
    init(_ entries: [(name: String, value: JSONValue)], added: [AddedToken], place: TokenPlace) throws(InputError) {
        var ids: [ExactText: Int32] = [:]
        var texts: [Int32: String] = [:]
        ids.reserveCapacity(entries.count)
        texts.reserveCapacity(entries.count)
        for (text, value) in entries {
            guard let id = value.integer, 0...ModelLimit.vocabulary ~= id else {
                throw place.error(text, value.summary, "must be a token id")
            }
            guard texts.updateValue(text, forKey: Int32(id)) == nil else {
                throw place.error(text, "\(id)", "this id has another token already")
            }
            ids[ExactText(text)] = Int32(id)
        }
        try self.init(ids: ids, texts: texts, added: added, place: place)
    }

    /// The tokens of a list, numbered from 0. Of tokens that occur twice the last one is the one that texts get.
    ///
    /// - Throws: `InputError` (`invalidData`) when there are too many, or an added token contradicts the model.
    init(_ tokens: [String], added: [AddedToken], place: TokenPlace) throws(InputError) {
        guard tokens.count <= ModelLimit.vocabulary else {
            throw place.error("must be at most \(ModelLimit.vocabulary) tokens", value: "\(tokens.count) tokens")
        }
        var ids: [ExactText: Int32] = [:]
        ids.reserveCapacity(tokens.count)
        for (id, text) in tokens.enumerated() { ids[ExactText(text)] = Int32(id) }
        let texts = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { (Int32($0), $1) })
        try self.init(ids: ids, texts: texts, added: added, place: place)
    }

    private init(
        ids: [ExactText: Int32], texts: [Int32: String], added: [AddedToken], place: TokenPlace
    ) throws(InputError) {
        modelSize = Int(texts.keys.max() ?? -1) + 1
        self.ids = ids
        self.place = place
        self.added = try Self.numbered(added, texts, ids, place)
        let size = max(modelSize, Int(self.added.map(\.id).max() ?? -1) + 1)
        var all = [String?](repeating: nil, count: size)
        for (id, text) in texts { all[Int(id)] = text }
        for token in self.added { all[Int(token.id)] = token.text }
        self.texts = all
    }

    /// The id of one of the model's tokens.
    func id(_ text: String) -> Int32? { ids[ExactText(text)] }

    /// The tokens that SentencePiece spells bytes with, "<0x00>" to "<0xFF>", by byte; nil for those that are missing.
    var byteCodes: [Int32?] { (UInt8.min ... .max).map { id(ByteCode.spelling($0)) } }

    /// The model's tokens by the bytes they stand for when characters spell bytes.
    var idsByBytes: [[UInt8]: Int32] {
        var result: [[UInt8]: Int32] = [:]
        for (text, id) in ids {
            if let bytes = ByteAlphabet.decode(text.text) { result[bytes] = id }
        }
        return result
    }

    /// Added tokens get the ids that the reference gives them: one the model has keeps its id, others follow the tokens so far, whatever
    /// holes the file's ids leave.
    private static func numbered(
        _ added: [AddedToken], _ texts: [Int32: String], _ ids: [ExactText: Int32], _ place: TokenPlace
    ) throws(InputError) -> [AddedToken] {
        var seen: Set<ExactText> = []
        var next = Int32(texts.count)
        var result: [AddedToken] = []
        for var token in added.sorted(by: { $0.id < $1.id }) {
            let text = ExactText(token.text)
            let agrees = texts[token.id].map { ExactText($0) == text } ?? (ids[text] == nil)
            guard agrees, seen.insert(text).inserted else {
                throw InputError(
                    .invalidData, file: place.file, field: place.added, value: "\(token.id) \"\(token.text)\"",
                    rule: "must agree with the other tokens' ids")
            }
            if ids[text] == nil {
                // Where the model's own ids have holes, its later tokens are in the way.
                if texts[next] == nil { token.id = next }
                next = token.id + 1
            }
            result.append(token)
        }
        return result
    }
}

/// How SentencePiece spells a byte that has no token of its own: "<0x0A>".
enum ByteCode {
    static func spelling(_ byte: UInt8) -> String {
        "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
    }

    /// The byte that `text` spells, or nil when it spells none. Digits may be of either case.
    static func byte(_ text: [UInt8]) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text[5] == UInt8(ascii: ">"), let high = digit(text[3]),
            let low = digit(text[4])
        else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
