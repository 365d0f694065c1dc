import AttentionCore
import Foundation

/// A folder in the Hugging Face layout: `config.json`, safetensors weights, `tokenizer.json`.
public struct ModelDirectory: Sendable {
    /// The folder as it was given.
    public let path: String
    /// The members of `config.json`.
    package let config: JSONFields
    public let weights: any TensorArchive

    /// Reads the configuration and the weights' headers; neither weights nor tokenizer are read yet.
    ///
    /// - Throws: `InputError`: `missingInput` when the folder or a file is absent; else whatever is wrong with a file.
    public init(_ path: String) throws(InputError) {
        try self.init(path, config: Self.config(in: path))
    }

    /// - Parameter config: of this folder.
    package init(_ path: String, config: JSONFields) throws(InputError) {
        self.path = path
        self.config = config
        weights = try SafetensorsArchive(directory: path)
    }

    /// The members of a folder's `config.json`.
    ///
    /// - Throws: as `check(_:)`, and what is wrong with the file.
    package static func config(in path: String) throws(InputError) -> JSONFields {
        try check(path)
        return try JSONFields(contentsOf: configurationPath(in: path))
    }

    /// Where `config.json` stands.
    public static func configurationPath(in directory: String) -> String { directory + "/config.json" }

    /// Where the tokenizer stands: `tokenizer.json` or, where there is none, the SentencePiece `tokenizer.model`.
    public var tokenizerPath: String { hasSentencePieceModel ? path + "/tokenizer.model" : path + "/tokenizer.json" }

    private var hasSentencePieceModel: Bool {
        !FileManager.default.fileExists(atPath: path + "/tokenizer.json")
            && FileManager.default.fileExists(atPath: path + "/tokenizer.model")
    }

    /// Reads the tokenizer, and `tokenizer_config.json` when there is one.
    ///
    /// - Parameter vocabularySize: rows of the model's embedding; nil where the model is not asked.
    /// - Throws: `InputError`: whatever is wrong with a file; `invalidData` when the tokenizer's own tokens have ids the model's
    ///   embedding has no row for. Added ones, such as padding, may: a prompt that holds one is refused.
    public func tokenizer(vocabularySize: Int? = nil) throws(InputError) -> Tokenizer {
        try checkTokenizerFormat()
        let vocabularySize = vocabularySize ?? .max
        let settingsPath = path + "/tokenizer_config.json"
        let tokenizer =
            hasSentencePieceModel
            ? try Tokenizer(
                sentencePiecePath: tokenizerPath, settingsPath: settingsPath, addedTokensPath: path + "/added_tokens.json")
            : try Tokenizer(path: tokenizerPath, settingsPath: settingsPath)
        guard tokenizer.modelVocabularySize <= vocabularySize else {
            throw InputError(
                .invalidData, file: tokenizerPath, field: "model.vocab", value: "\(tokenizer.modelVocabularySize) tokens",
                rule: "must not exceed vocab_size, \(vocabularySize)")
        }
        return tokenizer
    }

    /// People who have the tokenizer in another form are told so.
    private func checkTokenizerFormat() throws(InputError) {
        guard !FileManager.default.fileExists(atPath: tokenizerPath) else { return }
        for name in ["vocab.json", "vocab.txt", "tiktoken.model"]
        where FileManager.default.fileExists(atPath: path + "/" + name) {
            throw InputError(.unsupported, file: path + "/" + name, rule: "the tokenizer must be a tokenizer.json or a tokenizer.model")
        }
    }

    /// The model's chat template, or nil when it has none.
    ///
    /// - Throws: `InputError` when a file that may hold it is broken.
    public func chatTemplate() throws(InputError) -> ChatTemplate? { try ChatTemplate(directory: path) }

    /// The SHA-256 of the tokenizer's file, in hexadecimal.
    ///
    /// - Throws: `InputError` when the file cannot be read.
    public func tokenizerSHA256() throws(InputError) -> String { sha256(of: try MappedFile(tokenizerPath)) }

    /// - Throws: `InputError`: `missingInput` when there is no folder at `path`; `unsupported` when what is there is a model in another form.
    public static func check(_ path: String) throws(InputError) {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(.missingInput, file: path, rule: "there is no such folder")
        }
        guard isDirectory.boolValue else {
            let isGGUF = path.lowercased().hasSuffix(".gguf")
            throw InputError(
                isGGUF ? .unsupported : .missingInput, file: path,
                rule: isGGUF ? "GGUF files are not supported: must be a folder with safetensors" : "must be a folder")
        }
        let adapter = path + "/adapter_config.json"
        if FileManager.default.fileExists(atPath: adapter), !FileManager.default.fileExists(atPath: configurationPath(in: path)) {
            throw InputError(.unsupported, file: adapter, rule: "an adapter alone is no model: merge it into its base model first")
        }
    }
}
