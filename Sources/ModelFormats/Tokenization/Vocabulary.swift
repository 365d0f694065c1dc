import AttentionCore

/// The tokens of a tokenizer: those of its model and those added to them.
struct Vocabulary: Sendable {
    /// The model's tokens as the file spells them. Merges and byte lookups use only these.
    let ids: [ExactText: Int32]
    /// The ids of the model's tokens are below this.
    let modelSize: Int
    /// The bytes each token stands for, by id; none for ids that no token has.
    let bytes: [[UInt8]]
    /// The added tokens with the ids they get.
    let added: [AddedToken]
    let byteTokens: ByteTokens

    /// - Throws: `InputError` (`invalidData`) when an id is negative or doubled, an added token contradicts the model, no byte has a token,
    ///   or the unknown token is needed and missing.
    init(_ model: JSONFields, added: [AddedToken]) throws(InputError) {
        guard let entries = try model.fields("vocab")?.object.members else { throw model.error("vocab", "is missing") }
        var ids: [ExactText: Int32] = [:]
        var texts: [Int32: String] = [:]
        for (text, value) in entries {
            guard let id = value.integer, 0...ModelConfiguration.Limit.vocabulary ~= id else {
                throw Self.error(model, text, value.summary, "must be a token id")
            }
            guard texts.updateValue(text, forKey: Int32(id)) == nil else {
                throw Self.error(model, text, "\(id)", "this id has another token already")
            }
            ids[ExactText(text)] = Int32(id)
        }
        modelSize = Int(texts.keys.max() ?? -1) + 1
        self.added = try Self.numbered(added, texts, ids, model)
        for token in self.added { texts[token.id] = token.text }
        self.ids = ids
        bytes = try Self.bytes(texts, ids, self.added, model)
        byteTokens = try Self.byteTokens(ids, model)
    }

    /// The model's tokens by the bytes they stand for.
    var idsByBytes: [[UInt8]: Int32] {
        var result: [[UInt8]: Int32] = [:]
        for (text, id) in ids {
            if let bytes = ByteAlphabet.decode(text.text) { result[bytes] = id }
        }
        return result
    }

    private static func error(_ model: JSONFields, _ token: String, _ value: String?, _ rule: String) -> InputError {
        InputError(.invalidData, file: model.file, field: model.name("vocab.\(token)"), value: value, rule: rule)
    }

    /// Added tokens get the ids that the reference gives them: one the model has keeps its id, others follow the tokens so far, whatever
    /// holes the file's ids leave.
    private static func numbered(
        _ added: [AddedToken], _ texts: [Int32: String], _ ids: [ExactText: Int32], _ model: JSONFields
    ) throws(InputError) -> [AddedToken] {
        var seen: Set<ExactText> = []
        var next = Int32(texts.count)
        var result: [AddedToken] = []
        for var token in added.sorted(by: { $0.id < $1.id }) {
            let text = ExactText(token.text)
            let agrees = texts[token.id].map { ExactText($0) == text } ?? (ids[text] == nil)
            guard agrees, seen.insert(text).inserted else {
                throw InputError(
                    .invalidData, file: model.file, field: "added_tokens", value: "\(token.id) \"\(token.text)\"",
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

    /// Added tokens stand for their text, the model's for the bytes they spell.
    private static func bytes(
        _ texts: [Int32: String], _ ids: [ExactText: Int32], _ added: [AddedToken], _ model: JSONFields
    ) throws(InputError) -> [[UInt8]] {
        let addedIds = Set(added.map(\.id))
        var bytes = [[UInt8]](repeating: [], count: Int(texts.keys.max() ?? -1) + 1)
        for (id, text) in texts {
            let spelt = ByteAlphabet.decode(text)
            let written = Array(text.utf8)
            if addedIds.contains(id), ids[ExactText(text)] != nil, let spelt, spelt != written {
                // Merging would make this id from other bytes than the added token stands for.
                throw Self.error(model, text, "\(id)", "an added token must not also spell other bytes")
            }
            bytes[Int(id)] = addedIds.contains(id) ? written : spelt ?? written
        }
        return bytes
    }

    private static func byteTokens(_ ids: [ExactText: Int32], _ model: JSONFields) throws(InputError) -> ByteTokens {
        func id(_ text: String) -> Int32? { ids[ExactText(text)] }
        var result = ByteTokens(tokens: ByteAlphabet.spellings.map { id(String($0)) ?? ByteTokens.none })
        let missing = result.tokens.indices.filter { result.tokens[$0] == ByteTokens.none }
        guard missing.count < 256 else { throw model.error("vocab", "must hold a token for a byte") }
        if try model.bool("byte_fallback", default: false) {
            for byte in missing {
                let codes = String(ByteAlphabet.spellings[byte]).utf8.map {
                    id("<0x" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) + ">")
                }
                if codes.allSatisfy({ $0 != nil }) { result.fallbacks[byte] = codes.compactMap(\.self) }
            }
        }
        result.fusesUnknown = try model.bool("fuse_unk", default: false)
        if let text = model.value("unk_token"), text.string != "" {
            result.unknown = text.string.flatMap(id)
            guard result.unknown != nil || missing.allSatisfy({ !result.fallbacks[$0].isEmpty }) else {
                throw model.error("unk_token", "must be a token of the vocabulary, which has none for byte \(missing[0])")
            }
        }
        return result
    }
}
