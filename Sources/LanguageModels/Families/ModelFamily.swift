import AttentionCore
import ModelFormats

/// A family of models: what its `config.json` means, and where its weights stand.
///
/// A new family is one type like this in a file of its own, and one line in `ModelFamilies.all`.
protocol ModelFamily: Sendable {
    /// The `model_type`s of its `config.json`s.
    static var modelTypes: [String] { get }

    /// What a model of the family computes.
    ///
    /// - Throws: `InputError`: `invalidData` for a missing, ill-typed or out-of-range setting, `unsupported` for one that the decoder
    ///   cannot do.
    static func describe(_ config: ConfigReader) throws(InputError) -> DecoderDescription

    /// The names of the tensors that a model so described is made of.
    static func tensors(of description: DecoderDescription) -> DecoderTensors
}

extension ModelFamily {
    /// The names that most families have.
    static func tensors(of description: DecoderDescription) -> DecoderTensors { .standard(description) }
}

/// Every family that this version knows.
enum ModelFamilies {
    static let all: [any ModelFamily.Type] = [
        LlamaFamily.self, MistralFamily.self, Ministral3Family.self, Qwen2Family.self, Qwen3Family.self, SmolLM3Family.self,
        Phi3Family.self, Gemma2Family.self, Gemma3Family.self, GLMFamily.self, ChatGLMFamily.self, InternLM2Family.self,
        OLMo2Family.self, GPTOSSFamily.self, GraniteFamily.self, Cohere2Family.self, ArceeFamily.self,
    ]

    /// Models that read text and more: the text part is described by a `text_config` of its own, whose type is this where it does not say.
    /// Whether the head is the embedding is said outside, and by default it is.
    static let wrappers = ["gemma3": "gemma3_text", "mistral3": "mistral"]

    static var modelTypes: [String] { (all.flatMap { $0.modelTypes } + wrappers.keys).sorted() }

    /// The family of a model and what it computes.
    ///
    /// - Parameter config: the members of its `config.json`.
    /// - Throws: as `ModelFamily.describe`; `unsupported` for an unknown `model_type`, for quantised weights, and for a setting that no one
    ///   read and that may change what the model computes.
    static func describe(_ config: JSONFields) throws(InputError) -> (family: any ModelFamily.Type, description: DecoderDescription) {
        var type = try config.string("model_type")
        var fields = config
        if let usual = wrappers[type] {
            guard let part = try config.fields("text_config") else { throw config.error("text_config", "is missing") }
            (type, fields) = (try part.string("model_type", default: usual), part)
        }
        // An unknown family is the first thing to say; its other settings may mean anything.
        guard let family = all.first(where: { $0.modelTypes.contains(type) }) else {
            throw fields.error(
                "model_type",
                "must be one of \(modelTypes.joined(separator: ", ")); notebooks-md/adding-a-family.md shows how to add one",
                code: .unsupported)
        }
        for fields in [config, fields] { try QuantizedFormat.check(fields) }
        let isWrapped = wrappers[try config.string("model_type")] != nil
        let reader = ConfigReader(fields, modelType: type)
        var description = try family.describe(reader)
        try reader.checkAllIsRead()
        if isWrapped {
            let tie = "tie_word_embeddings"
            description.head.isTied = try (config.value(tie) != nil ? config : fields).bool(tie, default: true)
        }
        if description.endOfText.isEmpty {
            description.endOfText = try StandardConfig.endOfText(
                ConfigReader(config), vocabularySize: description.vocabularySize)
        }
        return (family, description)
    }

    /// The same of a model's files. Of the tokens that end an answer, those of `generation_config.json` count before those of `config.json`.
    static func describe(_ files: ModelFiles) throws(InputError) -> (family: any ModelFamily.Type, description: DecoderDescription) {
        var (family, description) = try describe(files.config)
        if let generation = try files.generationConfig() {
            let ends = try StandardConfig.endOfText(ConfigReader(generation), vocabularySize: description.vocabularySize)
            if !ends.isEmpty { description.endOfText = ends }
        }
        return (family, description)
    }
}

extension DecoderDescription {
    /// What a model computes. Neither weights nor tokenizer are read.
    ///
    /// - Parameter path: of a folder, or of a GGUF file.
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when a file cannot be read; `invalidData` for a missing, ill-typed or
    ///   out-of-range setting; `unsupported` for a family, or a setting that would change what the model computes, that is not known.
    public init(modelAt path: String) throws(InputError) { self = try ModelFamilies.describe(ModelFiles(path)).description }

    /// What `text`, the contents of a `config.json`, says; `file` names it in errors. Throws as `init(modelAt:)`.
    public init(parsing text: String, file: String = "config.json") throws(InputError) {
        self = try ModelFamilies.describe(JSONFields(parsing: text, file: file)).description
    }
}
