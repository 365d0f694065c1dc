/// What a GGUF file says about the model's tokenizer (`tokenizer.ggml.*`, `tokenizer.chat_template`).
///
/// Source: the GGUF format description (github.com/ggml-org/ggml, docs/gguf.md).
package struct GGUFTokenizerFields: Sendable, Equatable {
    /// `model`: "llama" (SentencePiece BPE), "gpt2" (byte-level BPE) or another kind.
    package let model: String
    /// `pre`: the name of the rule that cuts text before merging.
    package let pre: String?
    /// `tokens`, by their ids.
    package let tokens: [String]
    /// `scores`, one for each token.
    package let scores: [Float]?
    /// `token_type`, one for each token: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    package let types: [Int]?
    /// `merges`, each two pieces with a space between them, best first.
    package let merges: [String]?
    package let beginOfText, endOfText, unknown, padding: Int?
    package let addsBeginOfText, addsEndOfText, addsSpacePrefix: Bool?
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
