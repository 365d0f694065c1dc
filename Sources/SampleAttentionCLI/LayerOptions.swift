import ArgumentParser
import AttentionCore
import AttentionKernels
import AttentionLayers
import Evaluation
import LanguageModels
import RunProvenance

/// Options of commands that look at the heads of every layer: of a model that runs prompts, or captured ones.
struct LayerOptions: ParsableArguments {
    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions

    @Option(
        help: ArgumentHelp(
            """
            Queries, keys and values of one prompt, from `capture` or any other program (safetensors, see `capture --help`), in place of \
            --model, --text and --length; repeatable.
            """, valueName: "file"))
    var captured: [String] = []

    /// Opens what the options name.
    ///
    /// - Parameters:
    ///   - lengths: of a model's prompts when none are given.
    ///   - everyText: takes all bundled texts when none are given, otherwise the first of them.
    func open(lengths standard: [Int], everyText: Bool) throws(InputError) -> LayerRun {
        if captured.isEmpty { return try LayerRun(try model.open(), text: text, lengths: standard, everyText: everyText) }
        guard model.model == nil, text.text.isEmpty, text.length.isEmpty, !model.ignoreExtraTensors else {
            throw InputError(
                .usage, field: "captured", value: captured[0],
                rule: "a file holds its own model, text and length: give it without --model, --text, --length and --ignore-extra-tensors")
        }
        return try LayerRun(captured: captured, machine: model.machine)
    }
}

/// A command that looks at layers.
protocol LayerCommand: JSONPrinting {
    var layers: LayerOptions { get }
}

extension LayerCommand {
    var json: Bool { layers.model.machine.json }
}

/// The prompts whose layers a command looks at, of one model.
struct LayerRun: Run {
    let kernel: AttentionKernel
    let seed: UInt64
    let json: Bool
    let bundledConfig: String?
    let sources: [any LayerSource]
    private let model: Model

    private enum Model {
        case loaded(LanguageModel)
        case captured(ModelIdentity)
    }

    init(_ session: Session, text: TextOptions, lengths standard: [Int], everyText: Bool) throws(InputError) {
        _ = try session.sparseLayers()
        let lengths = try text.lengths(session, default: standard)
        let texts = try text.texts(session)
        var sources: [any LayerSource] = []
        for text in text.text.isEmpty && !everyText ? Array(texts.prefix(1)) : texts {
            for length in lengths {
                sources.append(PromptLayers(try text.prompt(length: length), of: text.identity, model: session.model))
            }
        }
        (kernel, seed, json, bundledConfig) = (session.kernel, session.seed, session.json, session.bundledConfig)
        self.sources = sources
        model = .loaded(session.model)
    }

    init(captured paths: [String], machine: MachineOptions) throws(InputError) {
        kernel = try machine.makeKernel()
        (seed, json, bundledConfig) = (machine.seed, machine.json, nil)
        var files: [CapturedLayers] = []
        for path in paths {
            let file = try CapturedLayers(path, kernel: kernel)
            try Self.check(file, beside: files)
            files.append(file)
        }
        sources = files
        model = .captured(files[0].model)
    }

    /// - Throws: `InputError` when a file is of another model than the others, or of a prompt that one of them has.
    private static func check(_ file: CapturedLayers, beside files: [CapturedLayers]) throws(InputError) {
        guard let first = files.first else { return }
        guard file.model == first.model, file.layers == first.layers else {
            throw InputError(
                .invalidData, file: file.path, field: "model", value: "\(file.model.summary), \(file.layers.count) captured",
                rule: "must be that of \(first.path), with the same layers: \(first.model.summary), \(first.layers.count) captured")
        }
        if let same = files.first(where: { $0.text == file.text && $0.tokens == file.tokens }) {
            throw InputError(
                .invalidData, file: file.path, field: "text", value: "\(file.text.name), \(file.tokens) tokens",
                rule: "is the prompt of \(same.path) too")
        }
    }

    func identity() throws(InputError) -> ModelIdentity {
        switch model {
        case .loaded(let model): try model.identity()
        case .captured(let identity): identity
        }
    }

    /// Each once, in order.
    var texts: [Provenance.Text] {
        sources.map(\.text).reduce(into: []) { texts, text in if !texts.contains(text) { texts.append(text) } }
    }
    /// Ascending.
    var lengths: [Int] { Set(sources.map(\.tokens)).sorted() }
    /// Of every prompt.
    var layers: [Int] { sources[0].layers }
    var queryHeads: Int { sources[0].queryHeads }

    func provenance() -> Provenance { provenance(texts: texts, lengths: lengths) }
}
