import AttentionCore

extension Tokenizer {
    /// The tokenizer of a GGUF file.
    ///
    /// - Parameter file: the file's path, for errors.
    /// - Throws: `InputError` (`invalidData`) when the fields contradict each other; `unsupported`, naming it, for another `model` or `pre`.
    package init(_ fields: GGUFTokenizerFields, file: String) throws(InputError) {
        try self.init(TokenizerDefinition(fields, file: file))
    }
}

extension TokenizerDefinition {
    fileprivate init(_ fields: GGUFTokenizerFields, file: String) throws(InputError) {
        let place = TokenPlace(file: file, vocabulary: GGUFTokenizerFields.name("tokens"), added: GGUFTokenizerFields.name("token_type"))
        let pieces = try fields.pieces(place)
        switch fields.model {
        case "llama":
            guard fields.scores != nil else { throw fields.error("scores", "is missing", place) }
            let settings = SentencePieceSettings(
                fallsBack: pieces.kinds.contains(.byte), addsSpacePrefix: fields.addsSpacePrefix ?? true)
            try self.init(pieces, settings, place: place)
            affixes = try fields.affixes(addsBeginOfText: true, place)
        case "gpt2":
            let rule = try GGUFSplitRule(fields, place)
            let vocabulary = try Vocabulary(pieces.texts, added: pieces.added, place: place)
            let encoder = BytePairEncoder(
                symbols: try .bytes(vocabulary, UnknownTokens()), merges: MergeTable(try fields.merges(vocabulary, place)),
                wholePieces: rule.ignoresMerges ? vocabulary.idsByBytes : nil)
            var splitter = TextSplitter()
            if fields.addsSpacePrefix ?? false { splitter.append(.leadingSpace) }
            splitter.splits += rule.splits
            var decoding = Detokenizer.Steps()
            decoding.spelling = .byteLevel
            self.init(
                vocabulary, TextNormalization(steps: rule.composes ? [.form(.c)] : []), splitter, .bytePairs(encoder), decoding)
            affixes = try fields.affixes(addsBeginOfText: rule.addsBeginOfText, place)
        default:
            throw fields.error("model", "must be \"llama\" or \"gpt2\"", place, value: fields.model, code: .unsupported)
        }
    }
}

extension GGUFTokenizerFields {
    /// The name of a field in the file.
    static func name(_ member: String) -> String { "tokenizer.ggml." + member }

    func error(
        _ member: String, _ rule: String, _ place: TokenPlace, value: String? = nil, code: InputError.Code = .invalidData
    ) -> InputError {
        InputError(code, file: place.file, field: Self.name(member), value: value, rule: rule)
    }

    fileprivate func pieces(_ place: TokenPlace) throws(InputError) -> SentencePieces {
        guard !tokens.isEmpty else { throw error("tokens", "must hold tokens", place) }
        for (member, count) in [("scores", scores?.count), ("token_type", types?.count)] {
            guard let count, count != tokens.count else { continue }
            throw error(member, "must be as many as tokens, \(tokens.count)", place, value: "\(count)")
        }
        let controls = Set([beginOfText, endOfText, unknown, padding].compactMap(\.self))
        var pieces = SentencePieces()
        for (id, text) in tokens.enumerated() {
            var kind = controls.contains(id) && types == nil ? SentencePieces.Kind.control : .normal
            if let types {
                guard let type = SentencePieces.Kind(rawValue: types[id]) else {
                    throw error("token_type[\(id)]", "must be in 1...6", place, value: "\(types[id])")
                }
                kind = type
            }
            // A token without text, which some files hold as padding, can be none of a text.
            pieces.append(text, score: scores?[id] ?? 0, text.isEmpty ? .unused : kind)
        }
        return pieces
    }

    fileprivate func merges(_ vocabulary: Vocabulary, _ place: TokenPlace) throws(InputError) -> [MergeTable.Merge] {
        guard let merges else { throw error("merges", "is missing", place) }
        var result: [MergeTable.Merge] = []
        result.reserveCapacity(merges.count)
        for (index, text) in merges.enumerated() {
            guard let (left, right) = MergeTable.pair(text) else {
                throw error("merges[\(index)]", "must be two tokens", place, value: "\"\(text)\"")
            }
            guard let merge = vocabulary.merge(left, right) else {
                throw error("merges[\(index)]", "both tokens and their union must be in the vocabulary", place, value: "\"\(text)\"")
            }
            result.append(merge)
        }
        return result
    }

    /// What a prompt begins and ends with: what the file says, else what llama.cpp does with such a file.
    fileprivate func affixes(addsBeginOfText byDefault: Bool, _ place: TokenPlace) throws(InputError) -> PromptAffixes {
        func token(_ adds: Bool, _ id: Int?, _ member: String) throws(InputError) -> [Int32] {
            guard adds, let id else { return [] }
            guard tokens.indices.contains(id) else {
                throw error(member, "must be one of the \(tokens.count) tokens", place, value: "\(id)")
            }
            return [Int32(id)]
        }
        return PromptAffixes(
            before: try token(addsBeginOfText ?? byDefault, beginOfText, "bos_token_id"),
            after: try token(addsEndOfText ?? false, endOfText, "eos_token_id"))
    }
}
