import AttentionCore

/// What a `tokenizer.json` asks for, every setting either understood or refused by name.
///
/// Truncation and padding belong to batches and are passed over.
struct TokenizerDefinition {
    let splitter: TextSplitter
    let composes: Bool
    let ignoresMerges: Bool
    let vocabulary: Vocabulary
    let merges: [(left: Int32, right: Int32, merged: Int32)]
    let affixes: PromptAffixes

    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   contradicts itself; `unsupported` for another kind of tokenizer.
    init(path: String) throws(InputError) {
        let fields = try JSONFields(contentsOf: path)
        guard let model = try fields.fields("model") else { throw fields.error("model", "is missing") }
        try Self.checkModel(model)
        try Self.checkKind(fields, model)
        composes = try Self.composes(fields)
        splitter = try TextSplitter(fields)
        try Self.checkDecoder(fields)
        ignoresMerges = try model.bool("ignore_merges", default: false)
        var added: [AddedToken] = []
        for token in try fields.list("added_tokens") { added.append(try AddedToken(token)) }
        vocabulary = try Vocabulary(model, added: added)
        merges = try Self.merges(model, vocabulary)
        affixes = try PromptAffixes(postProcessor: fields.fields("post_processor"))
    }

    private static func checkModel(_ model: JSONFields) throws(InputError) {
        let type = try model.string("type", default: "BPE")
        guard type == "BPE" else {
            throw model.error("type", "\(type) tokenizers are not supported: must be byte-level \"BPE\"", code: .unsupported)
        }
        for member in ["continuing_subword_prefix", "end_of_word_suffix"] {
            guard let value = model.value(member), value.string != "" else { continue }
            throw model.error(member, "only null is supported", code: .unsupported)
        }
        guard try model.number("dropout", in: 0...1, default: 0) == 0 else {
            throw model.error("dropout", "only 0 is supported", code: .unsupported)
        }
    }

    /// The kind of tokenizer is the first thing to say: each of its steps would be refused too.
    private static func checkKind(_ fields: JSONFields, _ model: JSONFields) throws(InputError) {
        let steps = try fields.fields("pre_tokenizer").map { top throws(InputError) in try top.flattened("pretokenizers") } ?? []
        var types: [String] = []
        for step in steps { types.append(try step.string("type")) }
        let fallsBack = try model.bool("byte_fallback", default: false)
        if !types.contains("ByteLevel"), fallsBack || types.contains("Metaspace") {
            throw fields.error(
                "pre_tokenizer", "SentencePiece tokenizers are not supported: must have a ByteLevel step", code: .unsupported)
        }
    }

    /// True for NFC, false for no normaliser.
    private static func composes(_ fields: JSONFields) throws(InputError) -> Bool {
        let parts = try fields.fields("normalizer").map { top throws(InputError) in try top.flattened("normalizers") } ?? []
        for part in parts where try part.string("type") != "NFC" {
            throw part.error("type", "this normaliser is not supported: must be \"NFC\"", code: .unsupported)
        }
        return !parts.isEmpty
    }

    /// Tokens stand for bytes, which are put together: what else a decoder may do must not change them.
    private static func checkDecoder(_ fields: JSONFields) throws(InputError) {
        guard let top = try fields.fields("decoder") else { return }
        for part in try top.flattened("decoders") where !["ByteLevel", "Fuse", "ByteFallback"].contains(try part.string("type")) {
            throw part.error("type", "this decoder is not supported: must be \"ByteLevel\"", code: .unsupported)
        }
    }
}

extension JSONFields {
    /// The object itself, or where its type is "Sequence" the objects of its list `member`, nested ones in their place.
    fileprivate func flattened(_ member: String) throws(InputError) -> [JSONFields] {
        guard try string("type") == "Sequence" else { return [self] }
        var parts: [JSONFields] = []
        for part in try list(member) { parts += try part.flattened(member) }
        return parts
    }
}

// MARK: - Before the model

extension TextSplitter {
    /// The steps of `pre_tokenizer`.
    ///
    /// - Throws: `InputError` (`unsupported`), naming the step, for one that is not known; when no step is byte-level.
    fileprivate init(_ fields: JSONFields) throws(InputError) {
        let steps = try fields.fields("pre_tokenizer").map { top throws(InputError) in try top.flattened("pretokenizers") } ?? []
        var splits: [TextSplit] = []
        var splitsBeforeSpace: Int?
        var isByteLevel = false
        for step in steps {
            switch try step.string("type") {
            case "Split": splits.append(try TextSplit(split: step, isSpelled: isByteLevel))
            case "Digits":
                let most = try step.bool("individual_digits", default: false) ? 1 : Int.max
                splits.append(TextSplit(pattern: .run(ScalarRun(.number, most: most)), isSpelled: isByteLevel))
            case "ByteLevel":
                guard !isByteLevel else { throw step.error("type", "must occur once", code: .unsupported) }
                isByteLevel = true
                if try step.bool("add_prefix_space", default: true) { splitsBeforeSpace = splits.count }
                if try step.bool("use_regex", default: true) { splits.append(TextSplit(pattern: .rule(.gpt2))) }
            default:
                throw step.error(
                    "type", "this pre-tokenizer is not supported: must be \"ByteLevel\", \"Split\" or \"Digits\"", code: .unsupported)
            }
        }
        guard isByteLevel else {
            throw fields.error("pre_tokenizer", "must have a ByteLevel step: others are not supported", code: .unsupported)
        }
        self.init(splits: splits, splitsBeforeSpace: splitsBeforeSpace)
    }
}

extension TextSplit {
    fileprivate init(split fields: JSONFields, isSpelled: Bool) throws(InputError) {
        let name = try fields.string("behavior")
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw fields.error("behavior", "this behaviour of splits is not known", code: .unsupported)
        }
        guard let pattern = try fields.fields("pattern") else { throw fields.error("pattern", "is missing") }
        self.init(
            pattern: try SplitPattern(pattern, isSpelled: isSpelled), behavior: behavior,
            inverts: try fields.bool("invert", default: false), isSpelled: isSpelled)
    }
}

extension SplitPattern {
    fileprivate init(_ fields: JSONFields, isSpelled: Bool) throws(InputError) {
        if fields.value("String") != nil {
            let text = try fields.string("String")
            // After a byte-level step the text is looked for among the characters that spell the bytes.
            guard let bytes = isSpelled ? ByteAlphabet.decode(text) : Array(text.utf8) else {
                throw fields.error("String", "must consist of characters that stand for bytes, as it follows a ByteLevel step")
            }
            self = .text(bytes)
            return
        }
        guard let pattern = SplitPattern(expression: try fields.string("Regex")) else {
            throw fields.error(
                "Regex", "this pattern is not supported: must be GPT-2's, Llama 3's or Qwen2's, or a run of one class", code: .unsupported)
        }
        self = pattern
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
