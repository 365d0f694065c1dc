import ArgumentParser
import AttentionCore
import AttentionKernels
import ErrorBounds
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention
import Synchronization

/// `verify`: measured output error against the theorems' bounds.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the error bounds of Theorems 1 and 2 on every head and on adversarial heads.",
        discussion: """
            In double precision, for several patterns a head: the largest L1 error of a query's output against each bound, all queries \
            too. Norms: row L1; R = max ‖V_j‖₁, D = max ‖V_j − V_k‖₁. Exit code 1 when a valid bound is broken. The factor-1 form for \
            renormalised attention is shown because it is often quoted; it is not valid.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions
    @OptionGroup var parameters: ParameterOptions

    func run() throws {
        let own = try parameters.parameters(seed: model.machine.seed)
        let session = try model.open()
        let lengths = try text.lengths(session, default: [512, 1024, 2048])
        let texts = text.text.isEmpty ? [try text.texts(session)[0]] : try text.texts(session)
        let prompts = try texts.flatMap { text in try lengths.map { try text.prompt(length: $0) } }
        let layers = session.model.configuration.layerCount
        let progress = ProgressBar("verify", total: prompts.count * layers)
        var total = BoundVerifier()
        for made in AdversarialHeads.all { total.verify(made.head, keeping: [made.pattern], label: made.name) }
        for tokens in prompts {
            let workspace = AttentionWorkspace()
            var tap = AttentionTap { layer, inputs, _ in
                total.merge(try HeadVerification(layer: layer, inputs: inputs, parameters: own, kernel: session.kernel).run(workspace))
                progress.advance()
            }
            let cache = session.model.makeCache(capacity: tokens.count)
            _ = try session.model.prefill(tokens, cache: cache, policy: .dense, observer: &tap)
        }
        progress.finish()
        let result = VerificationResult(
            model: try session.identity(), provenance: session.provenance(texts: texts, lengths: lengths), holds: total.holds,
            patterns: HeadVerification.patternNames, adversarialHeads: AdversarialHeads.all.map(\.name), bounds: total.checks)
        if session.json { JSONOutput.print(result) } else { print(result.table, terminator: "") }
        guard total.holds else { throw ExitCode(1) }
    }
}

/// The heads of one layer, each against several patterns, in parallel.
private struct HeadVerification {
    let layer: Int
    let inputs: SampleAttentionOperator.Inputs
    let parameters: SampleAttentionParameters
    let kernel: AttentionKernel

    static let patternNames = [
        "selected by SampleAttention", "window of 64", "4 sinks and window of 1/8", "every 16th column and window of 8",
    ]

    func run(_ workspace: AttentionWorkspace) throws -> BoundVerifier {
        let heads = inputs.shape.queryHeads
        let patterns = self.patterns(workspace)
        let results = Mutex([Result<BoundVerifier, InputError>?](repeating: nil, count: heads))
        kernel.pool.run(heads) { _, head in
            let result = Result { () throws(InputError) in try verify(head, patterns: patterns[head]) }
            results.withLock { $0[head] = result }
        }
        var total = BoundVerifier()
        for result in results.withLock({ $0 }) { total.merge(try result!.get()) }
        return total
    }

    private func verify(_ head: Int, patterns: [SparsePattern]) throws(InputError) -> BoundVerifier {
        var verifier = BoundVerifier()
        let exact = try AttentionHead(
            queryHead: head, shape: inputs.shape, queries: inputs.query, keys: inputs.key, values: inputs.value)
        let values = ValueExtent(of: exact)
        for (pattern, name) in zip(patterns, Self.patternNames) {
            let label = "\(inputs.shape.keyCount) tokens, layer \(layer), head \(head), \(name)"
            verifier.verify(exact, keeping: [pattern], values: values, label: label)
        }
        return verifier
    }

    /// In the order of `patternNames`.
    private func patterns(_ workspace: AttentionWorkspace) -> [[SparsePattern]] {
        let shape = inputs.shape
        let length = shape.keyCount
        let selections = SampleAttentionOperator(kernel: kernel).select(
            inputs, parameters: Array(repeating: parameters, count: shape.queryHeads), promptLength: length, workspace: workspace)
        let fixed = [
            WindowColumns(window: 64, columns: []),
            WindowColumns(window: max(1, length / 8), columns: (0..<Int32(min(4, length))).map(\.self)),
            WindowColumns(window: 8, columns: stride(from: 0, to: Int32(length), by: 16).map(\.self)),
        ].map(SparsePattern.windowColumns)
        return selections.map { selection in
            [SampleAttentionOperator.pattern(parameters, selection: selection, shape: shape, promptLength: length)] + fixed
        }
    }
}

/// What `verify` prints.
private struct VerificationResult: Encodable {
    let model: TunedConfig.ModelIdentity
    let provenance: TunedConfig.Provenance
    let holds: Bool
    let patterns, adversarialHeads: [String]
    let bounds: [BoundCheck]

    var table: String {
        var table = TextTable(columns: [
            .left("bound"), .left("valid"), .right("checked"), .right("violations"), .right("largest error / bound"), .left("where"),
        ])
        for check in bounds {
            table.append([
                check.name, check.valid ? "yes" : "no", NumberFormat.count(check.checked), NumberFormat.count(check.violations),
                NumberFormat.fixed(check.maxRatio, decimals: 4), check.worst.map { "\($0.label), query \($0.row)" } ?? NumberFormat.missing,
            ])
        }
        let heads = model.layers * model.queryHeads
        return
            "\(heads) heads at \(provenance.lengths.map(String.init).joined(separator: ", ")) tokens, \(patterns.count) patterns each, and "
            + "\(adversarialHeads.count) adversarial heads\n\n" + table.text()
            + bounds.map { "\n\($0.name): \($0.statement)" }.joined()
            + (holds ? "\n\nEvery valid bound holds.\n" : "\n\nA valid bound is broken: see the table.\n")
    }
}
