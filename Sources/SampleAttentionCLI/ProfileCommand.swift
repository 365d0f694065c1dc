import ArgumentParser
import AttentionCore
import AttentionKernels
import DurableFiles
import Evaluation
import Foundation
import HeadProfiling
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention

/// `profile`: exact sparsity degree, structure and retained mass of every head.
struct ProfileCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Measure every head exactly: sparsity degree, structure, and the attention mass a pattern keeps.",
        discussion: """
            SD(α) is the largest share of causal query-key pairs that any mask could drop while every query keeps α of its mass; \
            structured SD the same for a window with columns, or columns with slashes; what lies between is the structure gap. Retained \
            mass is measured for the pattern of --attention (default: sample); its minimum over queries is the paper's CRA, and the \
            query it belongs to is named. Every query row counts, none is sampled. With --output, profile.json and report.html are \
            written there; until then a journal is, with which a stopped profile continues by --resume.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions
    @OptionGroup var attention: AttentionOptions

    @Option(help: ArgumentHelp("α of the sparsity degree; repeatable (default: 0.9 0.95 0.99).", valueName: "share"))
    var sparsityAlpha: [Double] = []

    @Option(help: ArgumentHelp("Folder for profile.json and report.html.", valueName: "dir"))
    var output: String?

    @Flag(help: "Continue the profile whose journal is in the output folder.")
    var resume = false

    func run() throws {
        if resume { try OutputDirectory.requireJournal(in: output, of: "profile") }
        let session = try model.open()
        let alphas = try (sparsityAlpha.isEmpty ? [0.9, 0.95, 0.99] : sparsityAlpha).map { try Fraction($0, field: "sparsity-alpha") }
        let policy = try attention.sampleAttentionPolicy(session, default: "sample")
        let lengths = try text.lengths(session, default: [4096])
        let texts = text.text.isEmpty ? [try text.texts(session)[0]] : try text.texts(session)
        let prompts = try texts.flatMap { text in try lengths.map { (text: text.identity, tokens: try text.prompt(length: $0)) } }
        let run = ProfileRun(session: session, policy: policy, scale: ProfileScale(alphas: alphas), prompts: prompts)
        let directory = try output.map { path throws(InputError) in try OutputDirectory(path) }
        try directory?.reserve("profile.json", "report.html")
        let journal = try directory.map { directory throws(InputError) in
            try ProfileJournal(
                profile: directory.file("journal.jsonl"), header: run.header(texts: texts, identity: session.identity(), lengths: lengths),
                lengths: lengths, resume: resume)
        }
        let interruption = Interruption(journal, work: "a profile")
        let profiles = try run.measure(journal: journal)
        let result = ProfileResult(
            model: try session.identity(), provenance: session.provenance(texts: texts, lengths: lengths), attention: policy.name,
            scale: run.scale, prompts: profiles)
        if let directory, let journal { try Self.write(result, to: directory, keeping: journal) }
        // Until here the journal holds everything; from here on nothing is left to continue.
        interruption.end()
        journal?.discard()
        if session.json { JSONOutput.print(result) } else { print(result.summary, terminator: "") }
        if let directory, !session.json { print("\nWrote \(directory.file("profile.json")) and \(directory.file("report.html"))") }
    }
}

extension ProfileCommand {
    /// - Throws: `InputError` when the disk fails; it says that the measurements are not lost.
    fileprivate static func write(
        _ result: ProfileResult, to directory: OutputDirectory, keeping journal: ProfileJournal
    ) throws(InputError) {
        do {
            try directory.write(JSONOutput.encode(result), to: "profile.json")
            try directory.write(ProfileReport.make(result).html(), to: "report.html")
        } catch {
            throw InputError(
                error.code, file: error.file, field: error.field, value: error.value,
                rule: "\(error.rule); all is measured and in \(journal.path): --resume will write it")
        }
    }
}

/// Prompts in turn, with a progress bar, as far as the journal has not got them.
private struct ProfileRun {
    let session: Session
    let policy: AttentionPolicy
    let scale: ProfileScale
    let prompts: [(text: TunedConfig.Provenance.Text, tokens: [Int32])]

    private var configuration: ModelConfiguration { session.model.configuration }

    func header(texts: [PromptText], identity: TunedConfig.ModelIdentity, lengths: [Int]) -> ProfileHeader {
        // All parameters of all heads, whichever file or options they came from.
        let parameters = lengths.flatMap { length in
            (0..<configuration.layerCount).map {
                policy.parameters(layer: $0, queryHeads: configuration.queryHeads, promptLength: length) ?? []
            }
        }
        return ProfileHeader(
            model: identity, textSHA256: texts.map(\.sha256),
            attention: "\(policy.name), parameters \(sha256(ofJSON: parameters).prefix(12))", scale: scale,
            instructionSet: session.kernel.instructionSet.rawValue, precision: session.kernel.precision.rawValue)
    }

    func measure(journal: ProfileJournal?) throws -> [PromptProfile] {
        let recorded = prompts.map { prompt in
            Self.withoutGaps((journal?.recorded ?? []).filter { $0.textSHA256 == prompt.text.sha256 && $0.length == prompt.tokens.count })
        }
        // Work grows with the square of the length.
        let units = prompts.map { max(1, ($0.tokens.count / 512) * ($0.tokens.count / 512)) }
        let heads = configuration.layerCount * configuration.queryHeads
        let progress = ProgressBar(
            "profile", total: units.reduce(0) { $0 + $1 * heads },
            alreadyDone: zip(units, recorded).reduce(0) { $0 + $1.0 * $1.1.count * configuration.queryHeads })
        defer { progress.finish() }
        let profiler = ModelProfiler(model: session.model, policy: policy, scale: scale)
        var profiles: [PromptProfile] = []
        for (index, prompt) in prompts.enumerated() {
            profiles.append(
                try profiler.profile(
                    prompt.tokens, text: prompt.text, recorded: recorded[index],
                    sibling: profiles.first { $0.length == prompt.tokens.count },
                    record: { try journal?.append([$0]) },
                    advance: { progress.advance(by: units[index], status: "\(prompt.tokens.count) tokens of \(prompt.text.name)") }))
        }
        return profiles
    }

    /// Layers from the first on, each once: a run that was resumed twice may have left one twice.
    private static func withoutGaps(_ layers: [LayerProfile]) -> [LayerProfile] {
        var whole: [LayerProfile] = []
        for layer in layers where layer.layer == whole.count { whole.append(layer) }
        return whole
    }
}

/// What `profile` prints and writes.
struct ProfileResult: Encodable {
    /// Of profile.json; grows when a field changes its meaning or goes.
    private static let schemaVersion = 1

    let model: TunedConfig.ModelIdentity
    let provenance: TunedConfig.Provenance
    let attention: String
    let scale: ProfileScale
    let prompts: [PromptProfile]

    private enum CodingKeys: String, CodingKey { case schemaVersion, model, provenance, attention, scale, sparsityAlphas, profiles }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schemaVersion)
        try container.encode(model, forKey: .model)
        try container.encode(provenance, forKey: .provenance)
        try container.encode(attention, forKey: .attention)
        try container.encode(scale, forKey: .scale)
        try container.encode(scale.alphas, forKey: .sparsityAlphas)
        try container.encode(prompts.map(Prompt.init), forKey: .profiles)
    }

    /// A prompt's numbers without its pictures.
    private struct Prompt: Encodable {
        let text, textSHA256: String
        let length: Int
        let seconds, density: Double
        let heads: [Head]
        let overlaps: [Overlaps]

        init(_ profile: PromptProfile) {
            text = profile.text
            textSHA256 = profile.textSHA256
            length = profile.length
            seconds = profile.seconds
            density = profile.density
            heads = profile.layers.flatMap { layer in
                layer.heads.indices.map { Head(profile: layer.heads[$0], pattern: layer.patterns[$0], error: layer.errors[$0]) }
            }
            overlaps = profile.layers.map { Overlaps(layer: $0.layer, overlaps: $0.overlaps) }
        }
    }

    private struct Head: Encodable {
        let profile: HeadProfile
        let pattern: HeadPattern
        let error: HeadError
        private enum CodingKeys: String, CodingKey { case pattern, outputError }

        func encode(to encoder: any Encoder) throws {
            try profile.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(pattern, forKey: .pattern)
            try container.encode(error, forKey: .outputError)
        }
    }

    private struct Overlaps: Encodable {
        let layer: Int
        let overlaps: LayerProfile.Overlaps
        private enum CodingKeys: String, CodingKey { case layer }

        func encode(to encoder: any Encoder) throws {
            try overlaps.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(layer, forKey: .layer)
        }
    }
}
