import AttentionCore

/// The tokens of a tokenizer: those of its model and those added to them, with dense ids from 0.
struct Vocabulary: Sendable {
    /// The model's tokens as the file spells them. Merges and byte lookups use only these.
    let ids: [ExactText: Int32]
    /// The bytes each token stands for, by id.
    let bytes: [[UInt8]]
    /// The token of each single byte.
    let byteTokens: [Int32]

    /// - Throws: `InputError` (`invalidData`) when an id is negative, doubled or missing between others, an added token
    ///   contradicts the model, or a byte has no token.
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
        try Self.add(added, to: &texts, ids, model)
        self.ids = ids
        bytes = try Self.bytes(texts, ids, added, model)
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

    private static func add(
        _ added: [AddedToken], to texts: inout [Int32: String], _ ids: [ExactText: Int32], _ model: JSONFields
    ) throws(InputError) {
        var addedTexts: Set<ExactText> = []
        for token in added {
            let other = texts.updateValue(token.text, forKey: token.id)
            let agrees = other.map { ExactText($0) == ExactText(token.text) } ?? (ids[ExactText(token.text)] == nil)
            guard agrees, addedTexts.insert(ExactText(token.text)).inserted else {
                throw InputError(
                    .invalidData, file: model.file, field: "added_tokens", value: "\(token.id) \"\(token.text)\"",
                    rule: "must agree with the other tokens' ids")
            }
        }
    }

    /// Added tokens stand for their text, the model's for the bytes they spell.
    private static func bytes(
        _ texts: [Int32: String], _ ids: [ExactText: Int32], _ added: [AddedToken], _ model: JSONFields
    ) throws(InputError) -> [[UInt8]] {
        let addedIds = Set(added.map(\.id))
        var bytes: [[UInt8]] = []
        for id in 0..<Int32(texts.count) {
            guard let text = texts[id] else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("vocab"), value: "no token has id \(id)",
                    rule: "the ids must be 0..<\(texts.count)")
            }
            let spelt = ByteAlphabet.decode(text)
            let written = Array(text.utf8)
            if addedIds.contains(id), ids[ExactText(text)] != nil, let spelt, spelt != written {
                // Merging would make this id from other bytes than the added token stands for.
                throw Self.error(model, text, "\(id)", "an added token must not also spell other bytes")
            }
            bytes.append(addedIds.contains(id) ? written : spelt ?? written)
        }
        return bytes
    }

    private static func byteTokens(_ ids: [ExactText: Int32], _ model: JSONFields) throws(InputError) -> [Int32] {
        var tokens = [Int32?](repeating: nil, count: 256)
        for (text, id) in ids {
            if let bytes = ByteAlphabet.decode(text.text), bytes.count == 1 { tokens[Int(bytes[0])] = id }
        }
        if let missing = tokens.firstIndex(of: nil) {
            throw InputError(
                .invalidData, file: model.file, field: model.name("vocab"), value: "no token for byte \(missing)",
                rule: "must hold a token for each of the 256 bytes")
        }
        return tokens.compactMap(\.self)
    }
}
