import AttentionCore

/// What the steps around SentencePiece's pieces are, in the words of `tokenizer.json`.
struct SentencePieceSettings {
    var isUnigram = false
    /// Bytes for characters without a piece.
    var fallsBack: Bool
    /// A space before a text, which a decoded text loses again.
    var addsSpacePrefix: Bool
    var removesExtraSpaces = false
    var characterMap: CharacterMap?
}

extension TokenizerDefinition {
    /// A tokenizer of SentencePiece's pieces.
    ///
    /// Texts are normalised as the converters of `transformers` have it: U+2581 in the place of spaces, and one before every text that is
    /// no added token. Where SentencePiece and `tokenizers` differ, the latter is followed.
    ///
    /// - Parameter added: tokens beyond the pieces.
    /// - Throws: `InputError` (`invalidData`) when pieces contradict each other.
    init(
        _ pieces: SentencePieces, _ settings: SentencePieceSettings, added: [AddedToken] = [], place: TokenPlace
    ) throws(InputError) {
        try pieces.check(place)
        let vocabulary = try Vocabulary(pieces.texts, added: pieces.added + added, place: place)
        let bytes = pieces.texts.reduce(0) { $0 + $1.utf8.count }
        guard bytes < TokenTrie.mostNodes else {
            throw place.error("must be less than \(TokenTrie.mostNodes) bytes in all", value: "\(bytes) bytes")
        }
        var decoding = Detokenizer.Steps()
        decoding.changes = [.replace(.text(Array("\u{2581}".utf8)), with: " ")]
        decoding.spelling = .plain(fallsBack: true)
        if settings.addsSpacePrefix { decoding.trimmings = [.init(scalar: " ", start: 1, end: 0)] }
        self.init(
            vocabulary, Self.normalization(settings), TextSplitter(), try Self.encoder(pieces, settings, vocabulary), decoding)
        tokenNormalization = TextNormalization(steps: [Self.spaceMarks])
    }

    private static let spaceMarks = NormalizationStep.replace(.text([UInt8(ascii: " ")]), with: "\u{2581}")

    private static func normalization(_ settings: SentencePieceSettings) -> TextNormalization {
        var steps: [NormalizationStep] = []
        if let map = settings.characterMap { steps.append(.characterMap(map)) }
        if settings.removesExtraSpaces {
            steps.append(.replace(SplitPattern(expression: #"\A +| +\z"#)!, with: ""))
            steps.append(.replace(SplitPattern(expression: " +")!, with: " "))
        }
        if settings.addsSpacePrefix { steps.append(.prepend("\u{2581}")) }
        steps.append(spaceMarks)
        return TextNormalization(steps: steps)
    }

    private static func encoder(
        _ pieces: SentencePieces, _ settings: SentencePieceSettings, _ vocabulary: Vocabulary
    ) throws(InputError) -> PieceEncoder {
        if settings.isUnigram {
            return .unigram(
                try UnigramEncoder(
                    vocabulary, scores: pieces.scores.map { Double($0) }, unknown: pieces.unknown, fallsBack: settings.fallsBack))
        }
        let merges = pieces.merges(vocabulary)
        let unknown = UnknownTokens(
            text: pieces.unknown.map { pieces.texts[Int($0)] }, fuses: true, fallsBack: settings.fallsBack, field: "unknown")
        return .bytePairs(
            BytePairEncoder(
                symbols: try .scalars(vocabulary, unknown), merges: MergeTable(merges), wordCut: WordCut(vocabulary, merges)))
    }

    /// Reads a `tokenizer.model`, with the tokens that files beside it add: `added_tokens_decoder` of a `tokenizer_config.json`, and
    /// `added_tokens.json`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it is broken;
    ///   `unsupported`, naming the setting, for what is not known.
    init(sentencePiece path: String, settingsPath: String?, addedPath: String?) throws(InputError) {
        var model = try SentencePieceModel(path: path)
        let place = TokenPlace(file: path, vocabulary: "pieces", added: "added_tokens_decoder")
        var added: [AddedToken] = []
        for token in try AddedToken.beside(settingsPath: settingsPath, addedPath: addedPath) {
            if Int(token.id) < model.pieces.texts.count {
                model.pieces.replace(Int(token.id), with: token.text, token.isSpecial ? .control : .userDefined)
            } else {
                added.append(token)
            }
        }
        let settings = SentencePieceSettings(
            isUnigram: model.algorithm == .unigram, fallsBack: model.fallsBack, addsSpacePrefix: model.addsSpacePrefix,
            removesExtraSpaces: model.removesExtraSpaces, characterMap: model.characterMap)
        try self.init(model.pieces, settings, added: added, place: place)
        // The tokenizers that read such files begin a text with its token, unless their settings say otherwise, and do not end it.
        if model.pieces.kinds.indices.contains(model.beginOfText), model.pieces.kinds[model.beginOfText] == .control {
            defaultAffixes = PromptAffixes(before: [Int32(model.beginOfText)])
        }
    }
}

extension AddedToken {
    /// The tokens that the files beside a `tokenizer.model` add, by id, the settings' before the others.
    fileprivate static func beside(settingsPath: String?, addedPath: String?) throws(InputError) -> [AddedToken] {
        var tokens: [Int32: AddedToken] = [:]
        if let others = try fieldsIfThere(addedPath) {
            for (text, value) in others.object.members {
                guard !text.isEmpty else { throw others.error(text, "a token must have a text") }
                let id = try checked(value.integer, others, text)
                tokens[id] = AddedToken(id: id, text: text, isSpecial: false)
            }
        }
        if let all = try fieldsIfThere(settingsPath)?.fields("added_tokens_decoder") {
            for (name, value) in all.object.members {
                guard let object = value.object else { throw all.error(name, "must be an object") }
                let id = try checked(Int(name), all, name)
                tokens[id] = try AddedToken(JSONFields(object, file: all.file, path: all.name(name)), id: id)
            }
        }
        return tokens.values.sorted { $0.id < $1.id }
    }

    private static func fieldsIfThere(_ path: String?) throws(InputError) -> JSONFields? {
        guard let path else { return nil }
        do { return try JSONFields(contentsOf: path) } catch  where error.code == .missingInput { return nil }
    }

    private static func checked(_ id: Int?, _ fields: JSONFields, _ member: String) throws(InputError) -> Int32 {
        guard let id, 0...ModelLimit.vocabulary ~= id else { throw fields.error(member, "must be a token id") }
        return Int32(id)
    }
}
