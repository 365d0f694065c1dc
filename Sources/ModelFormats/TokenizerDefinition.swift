import AttentionCore

/// What a `tokenizer.json` asks for, every setting either understood or refused by name.
///
/// Post-processors are not applied: they add tokens around a text, and that is the caller's choice. Truncation and
/// padding belong to batches and are passed over.
struct TokenizerDefinition {
    let rule: SplitRule
    let composes: Bool
    let ignoresMerges: Bool
    let vocabulary: Vocabulary
    let addedTokens: [AddedToken]
    let merges: [(left: Int32, right: Int32, merged: Int32)]

    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   contradicts itself; `unsupported` for another kind of tokenizer.
    init(path: String) throws(InputError) {
        let fields = try JSONFields(contentsOf: path)
        composes = try Self.composes(fields)
        rule = try Self.rule(fields)
        if let decoder = try fields.fields("decoder") { try Self.require("type", "ByteLevel", in: decoder) }
        guard let model = try fields.fields("model") else { throw fields.error("model", "is missing") }
        try Self.checkModel(model)
        ignoresMerges = try model.bool("ignore_merges", default: false)
        var added: [AddedToken] = []
        for token in try fields.list("added_tokens") { added.append(try AddedToken(token)) }
        addedTokens = added
        vocabulary = try Vocabulary(model, added: added)
        merges = try Self.merges(model, vocabulary)
    }

    private static func require(_ member: String, _ value: String, in fields: JSONFields) throws(InputError) {
        guard try fields.string(member) == value else {
            throw fields.error(member, "only \"\(value)\" is supported", code: .unsupported)
        }
    }

    private static func require(
        _ member: String, _ value: Bool, default fallback: Bool, in fields: JSONFields
    ) throws(InputError) {
        guard try fields.bool(member, default: fallback) == value else {
            throw fields.error(member, "only \(value) is supported", code: .unsupported)
        }
    }

    private static func checkModel(_ model: JSONFields) throws(InputError) {
        try require("type", "BPE", in: model)
        try require("byte_fallback", false, default: false, in: model)
        try require("fuse_unk", false, default: false, in: model)
        for member in ["unk_token", "continuing_subword_prefix", "end_of_word_suffix"] {
            guard let value = model.value(member), value.string != "" else { continue }
            throw model.error(member, "only null is supported", code: .unsupported)
        }
        guard try model.number("dropout", in: 0...1, default: 0) == 0 else {
            throw model.error("dropout", "only 0 is supported", code: .unsupported)
        }
    }
}

// MARK: - Before the model

extension TokenizerDefinition {
    /// True for NFC, false for no normaliser.
    private static func composes(_ fields: JSONFields) throws(InputError) -> Bool {
        guard let normalizer = try fields.fields("normalizer") else { return false }
        let parts = try normalizer.string("type") == "Sequence" ? normalizer.list("normalizers") : [normalizer]
        for part in parts { try require("type", "NFC", in: part) }
        return !parts.isEmpty
    }

    private static func rule(_ fields: JSONFields) throws(InputError) -> SplitRule {
        guard let top = try fields.fields("pre_tokenizer") else {
            throw fields.error("pre_tokenizer", "only byte-level splitting is supported", code: .unsupported)
        }
        let parts = try top.string("type") == "Sequence" ? top.list("pretokenizers") : [top]
        guard let last = parts.last, parts.count <= 2 else {
            throw top.error("pretokenizers", "only [Split, ByteLevel] is supported", code: .unsupported)
        }
        try require("type", "ByteLevel", in: last)
        try require("add_prefix_space", false, default: true, in: last)
        try require("use_regex", parts.count == 1, default: true, in: last)
        return parts.count == 1 ? .gpt2 : try split(parts[0])
    }

    private static func split(_ fields: JSONFields) throws(InputError) -> SplitRule {
        try require("type", "Split", in: fields)
        try require("behavior", "Isolated", in: fields)
        try require("invert", false, default: false, in: fields)
        guard let pattern = try fields.fields("pattern") else { throw fields.error("pattern", "is missing") }
        guard let rule = SplitRule.patterns[try pattern.string("Regex")] else {
            throw pattern.error(
                "Regex", "only the patterns of GPT-2, Llama 3 and Qwen2 are supported", code: .unsupported)
        }
        return rule
    }
}

// MARK: - Merges

extension TokenizerDefinition {
    private static func merges(
        _ model: JSONFields, _ vocabulary: Vocabulary
    ) throws(InputError) -> [(left: Int32, right: Int32, merged: Int32)] {
        var merges: [(left: Int32, right: Int32, merged: Int32)] = []
        for (index, value) in try model.array("merges").enumerated() {
            guard let (left, right) = pair(value) else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("merges[\(index)]"), value: value.summary,
                    rule: "must be two tokens")
            }
            guard let leftToken = vocabulary.ids[ExactText(left)], let rightToken = vocabulary.ids[ExactText(right)],
                let merged = vocabulary.ids[ExactText(left + right)]
            else {
                throw InputError(
                    .invalidData, file: model.file, field: model.name("merges[\(index)]"), value: value.summary,
                    rule: "both tokens and their union must be in the vocabulary")
            }
            merges.append((leftToken, rightToken, merged))
        }
        return merges
    }

    /// A merge is written ["a", "b"] or "a b".
    private static func pair(_ value: JSONValue) -> (String, String)? {
        if let parts = value.array {
            guard parts.count == 2, let left = parts[0].string, let right = parts[1].string else { return nil }
            return left.isEmpty || right.isEmpty ? nil : (left, right)
        }
        let parts = value.string?.split(separator: " ", omittingEmptySubsequences: false) ?? []
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}
