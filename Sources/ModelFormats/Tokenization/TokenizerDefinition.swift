import AttentionCore

/// What a tokenizer is made of, whatever file describes it: every setting either understood or refused by name.
struct TokenizerDefinition {
    var vocabulary: Vocabulary
    var normalization: TextNormalization
    /// What becomes of added tokens that are looked for after normalisation.
    var tokenNormalization: TextNormalization
    var splitter: TextSplitter
    var encoder: PieceEncoder
    var detokenizer: Detokenizer
    /// What the file itself puts around a prompt; nil when it does not say.
    var affixes: PromptAffixes?
    /// What is put around it where no settings say otherwise either.
    var defaultAffixes = PromptAffixes()

    /// Reads a `tokenizer.json`. Truncation and padding belong to batches and are passed over.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   contradicts itself; `unsupported`, naming the kind, for what is not known.
    init(path: String) throws(InputError) {
        let fields = try JSONFields(contentsOf: path)
        guard let model = try fields.fields("model") else { throw fields.error("model", "is missing") }
        let kind = try Self.kind(model)
        normalization = try TextNormalization(fields.fields("normalizer"))
        tokenNormalization = normalization
        let steps = try fields.fields("pre_tokenizer").map { top throws(InputError) in try top.flattened("pretokenizers") } ?? []
        var isByteLevel = false
        splitter = try TextSplitter(steps, isByteLevel: &isByteLevel)
        var added: [AddedToken] = []
        for token in try fields.list("added_tokens") { added.append(try AddedToken(token)) }
        switch kind {
        case .bytePairs:
            vocabulary = try Vocabulary(bytePairs: model, added: added)
            encoder = .bytePairs(try BytePairEncoder(model, vocabulary, isByteLevel: isByteLevel))
        case .unigram:
            guard !isByteLevel else {
                throw model.error("type", "Unigram tokenizers behind a ByteLevel step are not supported", code: .unsupported)
            }
            (vocabulary, encoder) = try PieceEncoder.unigram(model, added: added)
        }
        let decoding = try Detokenizer.Steps(fields.fields("decoder"), isByteLevel: isByteLevel)
        detokenizer = Detokenizer(vocabulary, decoding)
        affixes = try PromptAffixes(postProcessor: fields.fields("post_processor"))
    }

    init(
        _ vocabulary: Vocabulary, _ normalization: TextNormalization, _ splitter: TextSplitter, _ encoder: PieceEncoder,
        _ decoding: Detokenizer.Steps
    ) {
        self.vocabulary = vocabulary
        self.normalization = normalization
        tokenNormalization = normalization
        self.splitter = splitter
        self.encoder = encoder
        detokenizer = Detokenizer(vocabulary, decoding)
    }

    private enum Kind { case bytePairs, unigram }

    /// The kind of model, which old files do not name.
    private static func kind(_ model: JSONFields) throws(InputError) -> Kind {
        let isList = model.value("vocab")?.array != nil
        let type = try model.string("type", default: isList ? "Unigram" : "BPE")
        switch type {
        case "BPE": return .bytePairs
        case "Unigram": return .unigram
        default:
            throw model.error("type", "\(type) tokenizers are not supported: must be \"BPE\" or \"Unigram\"", code: .unsupported)
        }
    }
}

extension JSONFields {
    /// The object itself, or where its type is "Sequence" the objects of its list `member`, nested ones in their place.
    func flattened(_ member: String) throws(InputError) -> [JSONFields] {
        guard try string("type") == "Sequence" else { return [self] }
        var parts: [JSONFields] = []
        for part in try list(member) { parts += try part.flattened(member) }
        return parts
    }
}
