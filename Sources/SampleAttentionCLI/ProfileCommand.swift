import ArgumentParser
import AttentionCore
import AttentionKernels
import Foundation
import HeadProfiling
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention

/// `profile`: exact sparsity degree and retained mass of every head.
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Measure every head exactly: sparsity degree, and the attention mass a pattern keeps.",
        discussion: """
            SD(α) is the largest share of causal query-key pairs that any mask could drop while every query keeps α of its mass. \
            Retained mass is measured for the pattern of --attention (default: sample); its minimum over queries is the paper's CRA. \
            With --output, profile.json and report.html are written there.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions
    @OptionGroup var attention: AttentionOptions

    @Option(help: ArgumentHelp("α of the sparsity degree; repeatable (default: 0.9 0.95 0.99).", valueName: "share"))
    var sparsityAlpha: [Double] = []

    @Option(help: ArgumentHelp("Folder for profile.json and report.html.", valueName: "dir"))
    var output: String?

    func run() throws {
        let session = try model.open()
        let alphas = try (sparsityAlpha.isEmpty ? [0.9, 0.95, 0.99] : sparsityAlpha).map { try Fraction($0, field: "sparsity-alpha") }
        let policy = try attention.policy(session, default: "sample")
        let lengths = try text.lengths(session, default: [4096])
        let texts = text.text.isEmpty ? [try text.texts(session)[0]] : try text.texts(session)
        let prompts = try texts.flatMap { text in try lengths.map { (text, try text.prompt(length: $0)) } }
        let directory = try output.map { path throws(InputError) in try OutputDirectory(path) }

        let progress = ProgressBar("profile", total: prompts.count * session.model.configuration.layerCount)
        let profiles = try prompts.map { text, tokens in
            try Self.profile(tokens, text: text, policy: policy, alphas: alphas, session: session, progress: progress)
        }
        progress.finish()
        let result = ProfileResult(
            model: try session.identity(), provenance: session.provenance(texts: texts, lengths: lengths), attention: policy.name,
            sparsityAlphas: alphas.map(\.value), profiles: profiles)
        if let directory {
            try directory.write(JSONOutput.encode(result), to: "profile.json")
            try directory.write(ProfileReport.make(result).html(), to: "report.html")
        }
        if session.json { JSONOutput.print(result) } else { print(ProfileReport.summary(result), terminator: "") }
        if let directory, !session.json { print("\nWrote \(directory.file("profile.json")) and \(directory.file("report.html"))") }
    }

    private static func profile(
        _ tokens: [Int32], text: PromptText, policy: AttentionPolicy, alphas: [Fraction], session: Session, progress: ProgressBar
    ) throws -> ProfileResult.Prompt {
        let start = ContinuousClock.now
        let profiler = HeadProfiler(kernel: session.kernel)
        let sampleAttention = SampleAttentionOperator(kernel: session.kernel)
        let workspace = AttentionWorkspace()
        var heads: [HeadProfile] = []
        var tap = AttentionTap { layer, inputs, _ in
            let parameters = policy.parameters(layer: layer, queryHeads: inputs.shape.queryHeads, promptLength: tokens.count)
            let selections = sampleAttention.select(inputs, parameters: parameters, promptLength: tokens.count, workspace: workspace)
            let patterns = zip(parameters, selections).map {
                SampleAttentionOperator.pattern($0, selection: $1, shape: inputs.shape, promptLength: tokens.count)
            }
            heads += profiler.profile(layer: layer, inputs: inputs, patterns: patterns, alphas: alphas, workspace: workspace)
            progress.advance()
        }
        let cache = session.model.makeCache(capacity: tokens.count)
        _ = try session.model.prefill(tokens, cache: cache, policy: .dense, observer: &tap)
        return ProfileResult.Prompt(
            text: text.name, length: tokens.count, seconds: (ContinuousClock.now - start).seconds, heads: heads,
            density: heads.reduce(0) { $0 + $1.density } / Double(heads.count))
    }
}

/// What `profile` prints and writes.
struct ProfileResult: Encodable {
    struct Prompt: Encodable {
        let text: String
        let length: Int
        let seconds: Double
        let heads: [HeadProfile]
        /// Mean over heads.
        let density: Double
    }

    let model: TunedConfig.ModelIdentity
    let provenance: TunedConfig.Provenance
    let attention: String
    /// The α of each entry of a head's `sparsityDegrees`.
    let sparsityAlphas: [Double]
    let profiles: [Prompt]
}
