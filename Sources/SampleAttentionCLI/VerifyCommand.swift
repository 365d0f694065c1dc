import ArgumentParser
import AttentionCore
import AttentionKernels
import BoundVerification
import ErrorBounds
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention

/// `verify`: measured output error against the theorems' bounds, of the exact computation and of the kernel.
struct VerifyCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the error bounds of Theorems 1 and 2 on every head and on adversarial heads.",
        discussion: """
            In double precision, for several patterns a head: the largest L1 error of a query's output against each bound, all queries \
            too; and the kernel's own output, in the precision and instruction set asked for, against the same bounds and its rounding \
            allowance. Norms: row L1; R = max ‖V_j‖₁, D = max ‖V_j − V_k‖₁. Exit code 1 when a valid bound is broken. The factor-1 form \
            for renormalised attention is shown because it is often quoted; it is not valid.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions
    @OptionGroup var parameters: ParameterOptions

    func run() throws {
        let own = try parameters.parameters(seed: model.machine.seed)
        let session = try model.open()
        let lengths = try text.lengths(session, default: [512, 1024, 2048])
        let texts = text.text.isEmpty ? [try text.texts(session)[0]] : try text.texts(session)
        let prompts = try texts.flatMap { text in try lengths.map { (text, try text.prompt(length: $0)) } }
        let progress = ProgressBar("verify", total: prompts.count * session.model.configuration.layerCount)
        var total = try HeadVerification.adversarialHeads(kernel: session.kernel)
        var heads: [VerificationResult.Head] = []
        for (text, tokens) in prompts {
            let outcome = try Self.verify(tokens, of: text, parameters: own, session: session, progress: progress)
            total.merge(outcome.verifier)
            heads += outcome.heads
        }
        progress.finish()
        let result = VerificationResult(
            model: try session.identity(), provenance: session.provenance(texts: texts, lengths: lengths), holds: total.holds,
            patterns: VerifiedPattern.names, adversarialHeads: AdversarialHeads.all.map(\.name), bounds: total.checks, heads: heads)
        if session.json { JSONOutput.print(result) } else { print(result.text, terminator: "") }
        for check in total.brokenChecks { Message.write("broken: \(check.violationDescription!)") }
        guard total.holds else { throw ExitCode(1) }
    }

    /// Every head of every layer of one prompt's dense forward pass.
    private static func verify(
        _ tokens: [Int32], of text: PromptText, parameters: SampleAttentionParameters, session: Session, progress: ProgressBar
    ) throws -> (verifier: BoundVerifier, heads: [VerificationResult.Head]) {
        let verification = LayerVerification(kernel: session.kernel, parameters: parameters)
        let workspace = AttentionWorkspace()
        var total = BoundVerifier()
        var heads: [VerificationResult.Head] = []
        var tap = AttentionTap { layer, inputs, output in
            let outcome = try verification.run(
                .init(layer: layer, inputs: inputs, output: output), label: "\(text.name), \(tokens.count) tokens", workspace: workspace)
            total.merge(outcome.verifier)
            heads += outcome.heads.enumerated().map {
                .init(text: text.identity, tokens: tokens.count, layer: layer, head: $0.offset, bounds: $0.element)
            }
            progress.advance()
        }
        _ = try session.model.prefill(
            tokens, cache: session.model.makeCache(capacity: tokens.count), policy: .dense, observer: &tap)
        return (total, heads)
    }
}
