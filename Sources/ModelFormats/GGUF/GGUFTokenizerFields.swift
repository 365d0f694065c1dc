/// The tokenizer as a GGUF file's metadata has it (`tokenizer.ggml.*` and `tokenizer.chat_template`), not yet judged.
package struct GGUFTokenizerFields: Sendable, Equatable {
    /// `model`: "llama" for SentencePiece, "gpt2" for byte-level merges.
    package let model: String
    /// `pre`: the name of the rule that cuts texts.
    package let pre: String?
    package let tokens: [String]
    package let scores: [Float]?
    /// `token_type`: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    package let types: [Int]?
    /// Pairs written "left right".
    package let merges: [String]?
    package let beginOfText: Int?
    package let endOfText: Int?
    package let unknown: Int?
    package let padding: Int?
    package let addsBeginOfText: Bool?
    package let addsEndOfText: Bool?
    package let addsSpacePrefix: Bool?
    package let chatTemplate: String?

    package init(
        model: String, pre: String?, tokens: [String], scores: [Float]?, types: [Int]?, merges: [String]?, beginOfText: Int?,
        endOfText: Int?, unknown: Int?, padding: Int?, addsBeginOfText: Bool?, addsEndOfText: Bool?, addsSpacePrefix: Bool?,
        chatTemplate: String?
    ) {
        self.model = model
        self.pre = pre
        self.tokens = tokens
        self.scores = scores
        self.types = types
        self.merges = merges
        self.beginOfText = beginOfText
        self.endOfText = endOfText
        self.unknown = unknown
        self.padding = padding
        self.addsBeginOfText = addsBeginOfText
        self.addsEndOfText = addsEndOfText
        self.addsSpacePrefix = addsSpacePrefix
        self.chatTemplate = chatTemplate
    }
}
