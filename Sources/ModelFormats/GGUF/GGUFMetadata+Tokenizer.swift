import AttentionCore

extension GGUFMetadata {
    private static let prefix = "tokenizer.ggml."

    /// The keys that say how text becomes tokens, in the order of their bytes.
    var tokenizerKeys: [String] { keys.filter { $0.hasPrefix(Self.prefix) } }

    /// - Throws: `InputError` (`invalidData`) when the file has no tokenizer, a list has another length than the tokens, or a value is
    ///   ill-typed.
    func tokenizerFields() throws(InputError) -> GGUFTokenizerFields {
        let model = try string(Self.prefix + "model")
        guard let tokens = try strings(Self.prefix + "tokens") else { throw error(Self.prefix + "tokens", "is missing") }
        let template = "tokenizer.chat_template"
        return GGUFTokenizerFields(
            model: model, pre: value(Self.prefix + "pre") == nil ? nil : try string(Self.prefix + "pre"), tokens: tokens,
            scores: try checked("scores", floats(Self.prefix + "scores"), count: tokens.count),
            types: try checked("token_type", integers(Self.prefix + "token_type"), count: tokens.count),
            merges: try strings(Self.prefix + "merges"), beginOfText: try tokenID("bos_token_id"), endOfText: try tokenID("eos_token_id"),
            unknown: try tokenID("unknown_token_id"), padding: try tokenID("padding_token_id"),
            addsBeginOfText: try bool(Self.prefix + "add_bos_token"), addsEndOfText: try bool(Self.prefix + "add_eos_token"),
            addsSpacePrefix: try bool(Self.prefix + "add_space_prefix"), chatTemplate: value(template) == nil ? nil : try string(template))
    }

    private func checked<Element>(_ name: String, _ values: [Element]?, count: Int) throws(InputError) -> [Element]? {
        guard let values, values.count != count else { return values }
        throw error(Self.prefix + name, "must have one element for each of \(count) tokens")
    }
}
