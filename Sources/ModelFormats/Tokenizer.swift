import AttentionCore

/// A byte-level BPE tokenizer read from `tokenizer.json`, with the split rule of GPT-2, Llama 3 or Qwen2.
///
///     let tokenizer = try Tokenizer(path: "model/tokenizer.json")
///     let ids = tokenizer.encode("Call me Ishmael.")
///     tokenizer.decode(ids)  // "Call me Ishmael."
///
/// Every text can be encoded, and without a normaliser decoding gives it back unchanged. Special tokens in the text are
/// read as such. Nothing is put before or after the text; see `beginOfText`.
public struct Tokenizer: Sendable {
    /// The number of tokens; ids are 0 ..< this.
    public let vocabularySize: Int
    /// The token that a prompt should begin with: `bos_token` of the settings file, nil without one or when
    /// `add_bos_token` is false.
    public let beginOfText: Int32?

    let rule: SplitRule
    let composes: Bool
    let encoder: BytePairEncoder
    let matchers: (written: AddedTokenMatcher, normalized: AddedTokenMatcher)
    let tokenBytes: [[UInt8]]
    private let addedIds: [ExactText: Int32]
    private let specials: Set<Int32>

    /// Reads the `tokenizer.json` at `path` and, when there is one at `settingsPath`, the `tokenizer_config.json`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when the file cannot be read; `invalidData` when it
    ///   contradicts itself; `unsupported`, naming the setting, for another kind of tokenizer.
    public init(path: String, settingsPath: String? = nil) throws(InputError) {
        let definition = try TokenizerDefinition(path: path)
        let added = definition.addedTokens
        rule = definition.rule
        composes = definition.composes
        tokenBytes = definition.vocabulary.bytes
        vocabularySize = tokenBytes.count
        encoder = BytePairEncoder(
            byteTokens: definition.vocabulary.byteTokens, merges: MergeTable(definition.merges),
            wholePieces: definition.ignoresMerges ? definition.vocabulary.idsByBytes : nil)
        let composes = composes
        matchers = (
            AddedTokenMatcher(added.filter { !$0.isNormalized }.map { ($0.text, $0.id) }),
            AddedTokenMatcher(
                added.filter(\.isNormalized).map { (composes ? TextNormalizer.composed($0.text) : $0.text, $0.id) })
        )
        addedIds = Dictionary(added.map { (ExactText($0.text), $0.id) }, uniquingKeysWith: { first, _ in first })
        specials = Set(added.filter(\.isSpecial).map(\.id))
        beginOfText = try Self.beginOfText(settings: settingsPath, ids: addedIds)
    }

    /// The id of the added token written `text`, such as "<|end_of_text|>".
    public func id(ofSpecial text: String) -> Int32? { addedIds[ExactText(text)] }

    /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD; ids outside the vocabulary, which a model with a padded
    /// embedding can produce, become nothing.
    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool = false) -> String {
        var bytes: [UInt8] = []
        for id in ids { appendBytes(of: id, to: &bytes, skippingSpecialTokens: skippingSpecialTokens) }
        return String(decoding: bytes, as: UTF8.self)
    }

    func appendBytes(of id: Int32, to bytes: inout [UInt8], skippingSpecialTokens: Bool) {
        guard id >= 0, id < vocabularySize, !(skippingSpecialTokens && specials.contains(id)) else { return }
        bytes.append(contentsOf: tokenBytes[Int(id)])
    }

    private static func beginOfText(settings path: String?, ids: [ExactText: Int32]) throws(InputError) -> Int32? {
        guard let path else { return nil }
        let fields: JSONFields
        do {
            fields = try JSONFields(contentsOf: path)
        } catch  where error.code == .missingInput {
            return nil
        }
        guard try fields.bool("add_bos_token", default: true), let value = fields.value("bos_token") else { return nil }
        let text = value.string ?? value.object?["content"]?.string
        guard let id = text.flatMap({ ids[ExactText($0)] }) else {
            throw fields.error("bos_token", "must be one of the tokenizer's added tokens")
        }
        return id
    }
}
