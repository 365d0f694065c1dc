import AttentionCore
import AttentionKernels

/// What was chosen for one query head before the kernel runs.
struct SelectedHead: Sendable {
    var pattern: SparsePattern
    /// The share of the sampled rows' mass that the pattern keeps, or a lower bound of it: 1 for dense heads, nil where nothing was sampled.
    var sampledMass: Double?
    /// The query rows that have been scored, ascending; `sampledMass` is their mean.
    var scoredRows: [Int] = []
    /// The mass that a certificate counts rows by: the share of rows that retain at least so much.
    var alpha = Certification.standardAlpha

    var isDense: Bool { if case .dense = pattern { true } else { false } }
}

/// The last stage of every method whose heads keep patterns: certificates where they are asked for, the shared kernel, and the report.
struct SelectedAttention {
    let inputs: LayerInputs
    let kernel: AttentionKernel
    let certification: Certification?
    let workspace: AttentionWorkspace

    /// - Parameters:
    ///   - select: one head a query head; its time is the selection's.
    ///   - widen: what a head keeps instead whose bound misses the least mass; nil where there is nothing between that and everything.
    /// - Throws: as `select`; `InputError` (`usage`) for patterns that do not fit the inputs, and as `HeadCertifier.certify`.
    func attend(
        output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, select: () throws(InputError) -> [SelectedHead],
        widen: (_ head: Int, _ certification: Certification) -> SelectedHead? = { _, _ in nil }
    ) throws(InputError) -> AttentionReport {
        let start = ContinuousClock.now
        var heads = try select()
        let selected = ContinuousClock.now
        var certificates: [Certificate]?
        if let certification {
            certificates = try HeadCertifier(certification: certification, inputs: inputs, kernel: kernel, workspace: workspace)
                .certify(&heads) { widen($0, certification) }
        }
        let certified = ContinuousClock.now
        let patterns = heads.map(\.pattern)
        let plan = try AttentionPlan(shape: inputs.shape, patterns: patterns)
        let planned = ContinuousClock.now
        kernel.run(
            plan, query: inputs.query, key: inputs.key, value: inputs.value, output: output, logSumExp: logSumExp, workspace: workspace)
        return AttentionReport(
            patterns: patterns, keptPairs: plan.keptPairs, causalPairs: inputs.shape.causalPairs, sampledMass: heads.map(\.sampledMass),
            certificates: certificates, selectionSeconds: (selected - start + (planned - certified)).seconds,
            certificateSeconds: certificates == nil ? 0 : (certified - selected).seconds,
            kernelSeconds: (ContinuousClock.now - planned).seconds)
    }
}
