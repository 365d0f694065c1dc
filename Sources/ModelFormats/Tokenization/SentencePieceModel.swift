import AttentionCore

/// A SentencePiece model, as a `tokenizer.model` holds it: a protocol buffer of pieces, trainer settings and normaliser settings.
///
/// Source: `sentencepiece_model.proto`; numbers of fields as there.
struct SentencePieceModel {
    enum Algorithm: Int { case unigram = 1, bytePairs, words, characters }

    var pieces = SentencePieces()
    private(set) var algorithm = Algorithm.unigram
    /// `byte_fallback`: bytes for characters without a piece.
    private(set) var fallsBack = false
    /// `bos_id` and `eos_id`; negative where there is none.
    private(set) var beginOfText = 1
    private(set) var endOfText = 2
    private(set) var addsSpacePrefix = true
    /// `remove_extra_whitespaces`: spaces at the ends and repeated ones fall away.
    private(set) var removesExtraSpaces = true
    private(set) var characterMap: CharacterMap?
    let file: String

    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it is broken;
    ///   `unsupported` for models of words or characters, and for settings that are not known.
    init(path: String) throws(InputError) {
        file = path
        let mapped = try MappedFile(path)
        try mapped.checkContent()
        var reader = ProtobufReader(mapped.bytes, file: path, field: "model")
        while let (number, content) = try reader.next() {
            switch number {
            case 1: try readPiece(content)
            case 2: try readTrainer(content)
            case 3: try readNormalizer(content)
            case 5: try readDenormalizer(content)
            default: break
            }
        }
        guard !pieces.texts.isEmpty else { throw failure("pieces", "must hold pieces") }
    }

    private func failure(_ field: String, _ rule: String, value: String? = nil, code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: field, value: value, rule: rule)
    }

    /// What a field holds as `Value`, or an error that names it.
    private func required<Value>(_ value: Value?, _ field: String) throws(InputError) -> Value {
        guard let value else { throw failure(field, "must be of the type that SentencePiece gives it") }
        return value
    }

    private mutating func readPiece(_ content: ProtobufReader.Content) throws(InputError) {
        let field = "pieces[\(pieces.texts.count)]"
        guard pieces.texts.count < ModelLimit.vocabulary else { throw failure(field, "there are too many") }
        var (text, score, type) = ("", Float(0), SentencePieces.Kind.normal)
        var reader = ProtobufReader(try required(content.bytes, field), file: file, field: field)
        while let (number, content) = try reader.next() {
            switch number {
            case 1: text = try required(content.text, field + ".piece")
            case 2: score = try required(content.float, field + ".score")
            case 3: type = try required(content.integer.flatMap(SentencePieces.Kind.init), field + ".type")
            default: break
            }
        }
        guard !text.isEmpty else { throw failure(field + ".piece", "must not be empty") }
        pieces.append(text, score: score, type)
    }

    private mutating func readTrainer(_ content: ProtobufReader.Content) throws(InputError) {
        let field = "trainer_spec"
        var reader = ProtobufReader(try required(content.bytes, field), file: file, field: field)
        while let (number, content) = try reader.next() {
            switch number {
            case 3: algorithm = try required(content.integer.flatMap(Algorithm.init), field + ".model_type")
            case 24:
                guard try !required(content.bool, field + ".treat_whitespace_as_suffix") else {
                    throw failure(field + ".treat_whitespace_as_suffix", "only false is supported", value: "true", code: .unsupported)
                }
            case 35: fallsBack = try required(content.bool, field + ".byte_fallback")
            case 41: beginOfText = try required(content.integer, field + ".bos_id")
            case 42: endOfText = try required(content.integer, field + ".eos_id")
            default: break
            }
        }
        guard algorithm == .bytePairs || algorithm == .unigram else {
            throw failure(field + ".model_type", "must be unigram or bpe", value: "\(algorithm)", code: .unsupported)
        }
    }

    private mutating func readNormalizer(_ content: ProtobufReader.Content) throws(InputError) {
        let field = "normalizer_spec"
        var reader = ProtobufReader(try required(content.bytes, field), file: file, field: field)
        while let (number, content) = try reader.next() {
            switch number {
            case 2:
                let bytes = try required(content.bytes, field + ".precompiled_charsmap")
                if bytes.isEmpty { break }
                characterMap = try required(CharacterMap(Array(bytes)), field + ".precompiled_charsmap")
            case 3: addsSpacePrefix = try required(content.bool, field + ".add_dummy_prefix")
            case 4: removesExtraSpaces = try required(content.bool, field + ".remove_extra_whitespaces")
            case 5:
                guard try required(content.bool, field + ".escape_whitespaces") else {
                    throw failure(field + ".escape_whitespaces", "only true is supported", value: "false", code: .unsupported)
                }
            default: break
            }
        }
    }

    private func readDenormalizer(_ content: ProtobufReader.Content) throws(InputError) {
        let field = "denormalizer_spec"
        var reader = ProtobufReader(try required(content.bytes, field), file: file, field: field)
        while let (number, content) = try reader.next() {
            guard number == 2 else { continue }
            guard try required(content.bytes, field + ".precompiled_charsmap").isEmpty else {
                throw failure(field + ".precompiled_charsmap", "a map of decoded text is not supported", code: .unsupported)
            }
        }
    }
}
