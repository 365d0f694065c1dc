import ArgumentParser
import AttentionCore
import AttentionKernels
import AttentionLayers
import BoundVerification
import ErrorBounds
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `verify`: measured output error against the theorems' bounds, of the exact computation and of the kernel.
struct VerifyCommand: LayerCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the error bounds of Theorems 1 and 2 on every head and on adversarial heads.",
        discussion: """
            In double precision, for several patterns a head: the largest L1 error of a query's output against each bound, all queries \
            too; and the kernel's own output, in the precision and instruction set asked for, against the same bounds and its rounding \
            allowance. The selected pattern of each head is that of --attention (default: sample), so that --config checks what was tuned, head \
            by head. Norms: row L1; R = max ‖V_j‖₁, D = max ‖V_j − V_k‖₁. Exit code 1 when a valid bound is broken. The factor-1 form \
            for renormalised attention is shown because it is often quoted; it is not valid.
            """)

    @OptionGroup var layers: LayerOptions
    @OptionGroup var attention: AttentionOptions

    func run() throws {
        let run = try layers.open(lengths: [512, 1024, 2048], everyText: false)
        let policy = try attention.sampleAttentionPolicy(run, default: "sample")
        let verification = LayerVerification(kernel: run.kernel)
        let progress = ProgressBar("verify", total: run.sources.count * run.layers.count)
        var total = try HeadVerification.adversarialHeads(kernel: run.kernel)
        var heads: [VerificationResult.Head] = []
        for source in run.sources {
            let outcomes = try verification.run(
                source,
                parameters: { policy.parameters(layer: $0, queryHeads: source.queryHeads, promptLength: source.tokens)! },
                label: "\(source.text.name), \(source.tokens) tokens"
            ) { progress.advance() }
            for (layer, outcome) in outcomes {
                total.merge(outcome.verifier)
                heads += outcome.heads.enumerated().map {
                    .init(text: source.text, tokens: source.tokens, layer: layer, head: $0.offset, bounds: $0.element)
                }
            }
        }
        progress.finish()
        let result = VerificationResult(
            model: try run.identity(), provenance: run.provenance(), attention: policy.name, holds: total.holds,
            patterns: VerifiedPattern.names, adversarialHeads: AdversarialHeads.all.map(\.name), bounds: total.checks, heads: heads)
        if run.json { JSONOutput.print(result) } else { print(result.text, terminator: "") }
        for check in total.brokenChecks { Message.write("broken: \(check.violationDescription!)") }
        guard total.holds else { throw ExitCode(1) }
    }
}
