import AttentionCore
import Foundation

/// The files of a model: a folder in the Hugging Face layout (`config.json`, safetensors, a tokenizer), or GGUF.
public struct ModelFiles: Sendable {
    /// The folder or the file as it was given.
    public let path: String
    /// The members of `config.json`, or what a GGUF file says in their place.
    package let config: JSONFields
    private let form: Form

    private enum Form: Sendable {
        case folder(ModelFolder)
        case gguf(GGUFModel)
    }

    /// Reads the configuration; neither weights nor tokenizer are read yet.
    ///
    /// - Throws: `InputError`: `missingInput` when the folder or a file is absent; `unsupported` when what is there is a model in another
    ///   form; else whatever is wrong with a file.
    public init(_ path: String) throws(InputError) {
        self.path = path
        guard !path.isEmpty else { throw InputError(.usage, field: "model", value: "", rule: "must name a folder or a GGUF file") }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(.missingInput, file: path, rule: "there is no such folder or file")
        }
        if isDirectory.boolValue {
            let folder = ModelFolder(path: path)
            config = try folder.config()
            form = .folder(folder)
        } else {
            guard path.lowercased().hasSuffix(".gguf") else {
                throw InputError(.missingInput, file: path, rule: "must be a folder, or a GGUF file whose name ends in .gguf")
            }
            let model = try GGUFModel(path)
            config = model.configuration
            form = .gguf(model)
        }
    }

    /// The members of `generation_config.json`; nil where there is none.
    ///
    /// - Throws: `InputError` when the file is broken.
    package func generationConfig() throws(InputError) -> JSONFields? {
        guard case .folder(let folder) = form else { return nil }
        return try folder.generationConfig()
    }

    /// Opens the weights and checks their headers.
    ///
    /// - Throws: `InputError`: whatever is wrong with a file; `unsupported` when the weights are in another form or quantised, naming it.
    public func weights() throws(InputError) -> any TensorArchive {
        switch form {
        case .folder(let folder):
            let archive = try SafetensorsArchive(directory: folder.path)
            try QuantizedFormat.check(archive, configuration: config)
            return archive
        case .gguf(let model): return model.weights
        }
    }

    /// Reads the tokenizer.
    ///
    /// - Parameter vocabularySize: rows of the model's embedding; nil where the model is not asked.
    /// - Throws: `InputError`: whatever is wrong with a file; `invalidData` when the tokenizer's own tokens have ids the model's
    ///   embedding has no row for. Added ones, such as padding, may: a prompt that holds one is refused.
    public func tokenizer(vocabularySize: Int? = nil) throws(InputError) -> Tokenizer {
        let (tokenizer, file): (Tokenizer, String)
        switch form {
        case .folder(let folder): (tokenizer, file) = (try folder.tokenizer(), folder.tokenizerPath)
        case .gguf(let model): (tokenizer, file) = (try Tokenizer(model.tokenizerFields(), file: model.path), model.path)
        }
        guard tokenizer.modelVocabularySize <= vocabularySize ?? .max else {
            throw InputError(
                .invalidData, file: file, field: "model.vocab", value: "\(tokenizer.modelVocabularySize) tokens",
                rule: "must not exceed vocab_size, \(vocabularySize!)")
        }
        return tokenizer
    }

    /// The SHA-256 of the tokenizer's file, or of what a GGUF file says of it, in hexadecimal.
    ///
    /// - Throws: `InputError` when the file cannot be read.
    public func tokenizerSHA256() throws(InputError) -> String {
        switch form {
        case .folder(let folder): sha256(of: try MappedFile(folder.tokenizerPath))
        case .gguf(let model): model.tokenizerSHA256()
        }
    }

    /// The model's chat template, or nil when it has none.
    ///
    /// - Throws: `InputError` when a file that may hold it is broken.
    public func chatTemplate() throws(InputError) -> ChatTemplate? {
        switch form {
        case .folder(let folder): try ChatTemplate(directory: folder.path)
        case .gguf(let model): try model.tokenizerFields().chatTemplate.map { ChatTemplate($0, file: model.path) }
        }
    }
}

/// A folder in the Hugging Face layout.
private struct ModelFolder: Sendable {
    let path: String

    private func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path + "/" + name) }

    func config() throws(InputError) -> JSONFields {
        let adapter = "adapter_config.json"
        if has(adapter), !has("config.json") {
            throw InputError(
                .unsupported, file: path + "/" + adapter, rule: "an adapter alone is no model: merge it into its base model first")
        }
        if !has("config.json") { try SafetensorsArchive.checkForGGUF(path) }
        return try JSONFields(contentsOf: path + "/config.json")
    }

    func generationConfig() throws(InputError) -> JSONFields? {
        do {
            return try JSONFields(contentsOf: path + "/generation_config.json")
        } catch  where error.code == .missingInput {
            return nil
        }
    }

    /// `tokenizer.json` or, where there is none, the SentencePiece `tokenizer.model`.
    var tokenizerPath: String { path + "/" + (hasSentencePieceModel ? "tokenizer.model" : "tokenizer.json") }

    private var hasSentencePieceModel: Bool { !has("tokenizer.json") && has("tokenizer.model") }

    func tokenizer() throws(InputError) -> Tokenizer {
        if !FileManager.default.fileExists(atPath: tokenizerPath) {
            // People who have the tokenizer in another form are told so.
            for name in ["vocab.json", "vocab.txt", "tiktoken.model"] where has(name) {
                throw InputError(.unsupported, file: path + "/" + name, rule: "the tokenizer must be a tokenizer.json or a tokenizer.model")
            }
        }
        let settings = path + "/tokenizer_config.json"
        return hasSentencePieceModel
            ? try Tokenizer(sentencePiecePath: tokenizerPath, settingsPath: settings, addedTokensPath: path + "/added_tokens.json")
            : try Tokenizer(path: tokenizerPath, settingsPath: settings)
    }
}
