import ArgumentParser
import AttentionCore
import AttentionKernels
import Foundation
import LanguageModels
import ModelFormats
import RunProvenance
import SampleAttention
import StudyReports

/// `generate`: continue a prompt, with any attention in the prefill.
struct GenerateCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continue a prompt; the prefill attends as --attention says, decoding is dense.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var attention: AttentionOptions
    @OptionGroup var certificate: CertificateOptions
    @OptionGroup var cache: CacheOptions
    @OptionGroup var chat: ChatOptions

    @Option(parsing: .unconditional, help: "The prompt; it may begin with a dash.")
    var prompt: String?

    @Option(help: ArgumentHelp("File that holds the prompt, UTF-8; - for standard input.", valueName: "file"))
    var promptFile: String?

    @Option(help: "New tokens at most.")
    var maxTokens = 64

    @Option(help: "0 is greedy; larger draws from flatter distributions.")
    var temperature = 0.0

    @Option(help: "Draw only from the likeliest tokens that together reach this probability.")
    var topP = 1.0

    @Option(help: "Tokens the prefill takes at once (default: all).")
    var chunk: Int?

    func run() throws {
        let text = try promptText()
        guard !text.isEmpty else { throw InputError(.usage, field: "prompt", value: "0 characters", rule: "must not be empty") }
        _ = try ParameterOptions.count(maxTokens, "max-tokens", atLeast: 1)
        if let chunk { _ = try ParameterOptions.count(chunk, "chunk", atLeast: 1) }
        let sampler = try TokenSampler(temperature: temperature, topP: Fraction(topP, field: "top-p"), seed: model.machine.seed)
        let asked = try cache.settings()
        try chat.check()
        let session = try model.open()
        let cacheSettings = asked.named(for: session.model)
        let policy = try policy(session)
        let conversation = try chat.prompt(text, model: session.model)
        let tokens =
            if let conversation { try session.model.promptTokens(for: conversation) } else { try session.model.promptTokens(for: text) }
        let warning = policy.certification?.warning(
            policy: policy, model: session.model.description, promptLength: tokens.count, chunk: chunk)
        if let warning { Message.write(warning) }

        var stream = TextStream(session.model.tokenizer)
        let generation = try session.model.generate(
            tokens, maxTokens: maxTokens, policy: policy, chunk: chunk, cache: cacheSettings, sampler: sampler,
            endsOfTurn: conversation?.endsOfTurn(session.model.tokenizer) ?? [],
            onToken: { if !session.json { print(stream.append($0), terminator: "") } })
        if session.json {
            JSONOutput.print(
                GenerationResult(
                    loadSeconds: session.loadSeconds, generation: generation, policy: policy,
                    settings: try attention.settings(policy, session: session), cache: cacheSettings, chunk: chunk,
                    text: session.model.tokenizer.decode(generation.tokens),
                    model: try session.identity(), provenance: session.provenance()))
        } else {
            print(stream.finish())
            // What is said next goes to standard error, which may be the same terminal.
            fflush(nil)
            Message.write(Self.summary(generation, policy: policy, session: session))
            if let certificate = CertificateResult(generation.prefill, policy: policy) { Message.write(certificate.summary) }
        }
    }

    /// The attention asked for, with certificates where they are wanted.
    private func policy(_ session: Session) throws(InputError) -> AttentionPolicy {
        let policy = try attention.policy(session)
        let isSparse = policy.name != AttentionPolicy.dense.name && policy.canCertify
        guard let certification = try certificate.certification(default: session.json && isSparse, seed: session.seed) else {
            return policy
        }
        return try certification.applied(to: policy)
    }

    private func promptText() throws(InputError) -> String {
        switch (prompt, promptFile) {
        case (let text?, nil): return try TextFile.text(text.utf8, of: "prompt")
        case (nil, "-"?): return try TextFile.readStandardInput()
        case (nil, let path?): return try TextFile.read(path)
        default: throw InputError(.usage, field: "prompt", rule: "give either --prompt or --prompt-file")
        }
    }

    private static func summary(_ generation: LanguageModel.Generation, policy: AttentionPolicy, session: Session) -> String {
        let report = generation.prefill
        func seconds(_ value: Double) -> String { String(format: "%.3f s", value) }
        return "\(policy.name) attention in \(session.kernel.precision.rawValue.uppercased()): model loaded in "
            + "\(seconds(session.loadSeconds)); \(report.tokens) tokens prefilled in \(seconds(report.seconds)) "
            + "(attention \(seconds(report.attentionSeconds)), of it selection \(seconds(report.selectionSeconds))), "
            + "density \(String(format: "%.3f", report.density)); \(generation.tokens.count) tokens in \(seconds(generation.decodeSeconds))"
    }
}
