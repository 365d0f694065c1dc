import AttentionCore

/// A tokenizer read from `tokenizer.json`, from a SentencePiece `tokenizer.model` or from the fields of a GGUF file: byte-pair merges over
/// bytes or over characters, or Unigram.
///
///     let tokenizer = try Tokenizer(path: "model/tokenizer.json")
///     let ids = tokenizer.encode("Call me Ishmael.")
///     tokenizer.decode(ids)  // "Call me Ishmael."
///
/// Every text can be encoded. Without a normaliser, and with a token for every byte, decoding gives it back unchanged; what has no
/// token gives the unknown token or nothing. Special tokens in the text are read as such. Nothing is put before or after the text; see
/// `affixes`.
public struct Tokenizer: Sendable {
    /// Ids are below this; it may exceed the rows of a model's embedding by added tokens, which are harmless until they are used.
    public let vocabularySize: Int
    /// Ids of tokens that are not added are below this.
    public let modelVocabularySize: Int
    /// What a prompt begins and ends with: what the file's post-processor says; where it has none, the `bos_token` and
    /// `eos_token` of the settings file whose `add_bos_token` and `add_eos_token` are true.
    public let affixes: PromptAffixes

    let normalization: TextNormalization
    let splitter: TextSplitter
    let encoder: PieceEncoder
    let matchers: (written: AddedTokenMatcher, normalized: AddedTokenMatcher)
    let detokenizer: Detokenizer
    private let addedIds: [ExactText: Int32]
    private let specials: Set<Int32>

    /// Reads the `tokenizer.json` at `path` and, when there is one at `settingsPath`, the `tokenizer_config.json`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   contradicts itself; `unsupported`, naming the setting, for another kind of tokenizer.
    public init(path: String, settingsPath: String? = nil) throws(InputError) {
        try self.init(TokenizerDefinition(path: path), settingsPath: settingsPath)
    }

    /// Reads the SentencePiece model (`tokenizer.model`) at `path` and, where they are there, the `tokenizer_config.json` at `settingsPath`
    /// and the `added_tokens.json` at `addedTokensPath`.
    ///
    /// A prompt begins with the model's token for that unless the settings say otherwise.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   is broken; `unsupported`, naming the setting, for another kind of tokenizer.
    public init(sentencePiecePath path: String, settingsPath: String? = nil, addedTokensPath: String? = nil) throws(InputError) {
        try self.init(
            TokenizerDefinition(sentencePiece: path, settingsPath: settingsPath, addedPath: addedTokensPath), settingsPath: settingsPath)
    }

    init(_ definition: TokenizerDefinition, settingsPath: String? = nil) throws(InputError) {
        let added = definition.vocabulary.added
        normalization = definition.normalization
        splitter = definition.splitter
        encoder = definition.encoder
        detokenizer = definition.detokenizer
        vocabularySize = definition.vocabulary.texts.count
        modelVocabularySize = definition.vocabulary.modelSize
        matchers = (
            AddedTokenMatcher(added.filter { !$0.isNormalized }) { $0.text },
            AddedTokenMatcher(added.filter(\.isNormalized)) { definition.tokenNormalization.normalize($0.text) }
        )
        let ids = Dictionary(added.map { (ExactText($0.text), $0.id) }, uniquingKeysWith: { first, _ in first })
        addedIds = ids
        specials = Set(added.filter(\.isSpecial).map(\.id))
        affixes = try Self.affixes(definition, settings: settingsPath) { ids[ExactText($0)] }
    }

    /// The tokens of a prompt: `affixes` around those of `text`.
    public func encodePrompt(_ text: String) -> [Int32] { affixes.before + encode(text) + affixes.after }

    /// The id of the added token written `text`, such as "<|end_of_text|>".
    public func id(ofSpecial text: String) -> Int32? { addedIds[ExactText(text)] }

    /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD; ids outside the vocabulary, which a model with a padded
    /// embedding can produce, become nothing.
    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool = false) -> String {
        var bytes: [UInt8] = []
        var state = DetokenizerState(detokenizer)
        for id in ids where isDecoded(id, skippingSpecialTokens: skippingSpecialTokens) { state.append(Int(id), to: &bytes) }
        state.finish(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that a token stands for in the middle of a text: they may be part of a character. None outside the vocabulary.
    package func bytes(of token: Int32) -> [UInt8] {
        guard token >= 0, token < vocabularySize else { return [] }
        return detokenizer.separator + detokenizer.texts[Int(token)]
    }

    /// True for tokens that have a text which is wanted.
    func isDecoded(_ id: Int32, skippingSpecialTokens: Bool) -> Bool {
        id >= 0 && id < vocabularySize && !(skippingSpecialTokens && specials.contains(id))
    }

    private static func affixes(
        _ definition: TokenizerDefinition, settings path: String?, id: (String) -> Int32?
    ) throws(InputError) -> PromptAffixes {
        if let own = definition.affixes { return own }
        guard let path else { return definition.defaultAffixes }
        do {
            return try PromptAffixes(settings: JSONFields(contentsOf: path), defaults: definition.defaultAffixes, id: id)
        } catch  where error.code == .missingInput {
            return definition.defaultAffixes
        }
    }
}
