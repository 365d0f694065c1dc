import AttentionCore
import ModelFormats

extension LanguageModel {
    /// The tokens of a conversation up to where the model answers.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tokenizer lacks a mark of the format, or gives a token the model has no embedding for.
    public func promptTokens(for chat: ChatPrompt) throws(InputError) -> [Int32] {
        let tokens = try chat.tokens(tokenizer)
        try check(tokens)
        return tokens
    }
}
