import AttentionCore

/// A model in GGUF files: everything that a folder of the Hugging Face hub says, from one file or the parts of a split one.
///
/// Architectures: llama, qwen2, qwen3, gemma2, gemma3.
public struct GGUFModel: Sendable {
    /// The path as it was given.
    public let path: String
    /// The tensors, under the names and in the order of rows of the hub.
    public let weights: GGUFArchive
    /// What `config.json` would say; errors about it name the model's file.
    package let configuration: JSONFields

    /// Opens the file at `path`, and where it is a part of a split model, all its parts. Of the weights only tables of rotary factors are
    /// read.
    ///
    /// - Throws: `InputError`: `missingInput` when a file or a part is absent; `unsupported` for an architecture or a setting that is not
    ///   known here; `invalidData` when a file breaks its format or lacks what a model needs.
    public init(_ path: String) throws(InputError) {
        self.path = path
        weights = try GGUFArchive(path)
        configuration = try GGUFConfiguration(weights).fields()
    }

    /// What the file says about the tokenizer.
    ///
    /// - Throws: `InputError` (`invalidData`) when it has none, or says what cannot be.
    /// - Complexity: O(tokens): keep the answer.
    package func tokenizerFields() throws(InputError) -> GGUFTokenizerFields { try weights.metadata.tokenizerFields() }

    /// The SHA-256 of what the file says about the tokenizer, in hexadecimal: that of keys and values as the file has them, in the order
    /// of the keys' bytes. The template of chats is not a part of it, as it is not one of `tokenizer.json`.
    public func tokenizerSHA256() -> String {
        let (metadata, file) = (weights.metadata, weights.files[0].file)
        var digest = Digest()
        for key in metadata.tokenizerKeys {
            guard let bytes = metadata.bytes(key) else { continue }
            digest.add(UnsafeRawBufferPointer(rebasing: file.bytes[bytes]))
        }
        return digest.hexadecimal()
    }
}
