import AttentionCore
import AttentionKernels
import CSampleAttention
import SampleAttention

/// One layer's attention, batch after batch.
struct LayerRun {
    let call: CheckedCall
    let policy: AttentionPolicy
    let kernel: AttentionKernel
    let memory: CallMemory

    /// - Throws: `InputError`: `systemFailure` without memory; `invalidData` for numbers that cannot be certified.
    func run() throws(InputError) -> sample_attention_report {
        let policy = call.certification.map { self.policy.certified($0) } ?? self.policy
        var total = sample_attention_report()
        for batch in 0..<call.batch { try run(batch, policy, adding: &total) }
        total.causal_pairs = Int64(call.batch * call.shape.queryHeads * call.shape.causalPairs)
        return total
    }

    private func run(_ batch: Int, _ policy: AttentionPolicy, adding total: inout sample_attention_report) throws(InputError) {
        let conversion = RowConversion(pool: kernel.pool)
        let start = ContinuousClock.now
        let inputs = LayerInputs(
            query: try conversion.floats(call.query, batch: batch, times: call.queryFactor, in: memory.query, of: "query rows"),
            key: try conversion.floats(call.key, batch: batch, in: memory.key, of: "key rows"),
            value: try conversion.floats(call.value, batch: batch, in: memory.value, of: "value rows"), scores: call.shape.scores)
        let output = try conversion.target(call.output, batch: batch, in: memory.output)
        total.conversion_seconds += (ContinuousClock.now - start).seconds
        let sums = call.logSumExp.map { $0 + batch * call.shape.queryHeads * call.shape.queryCount }
        let report = try attend(inputs, policy, output: output, logSumExp: sums)
        total.kept_pairs += Int64(report.keptPairs.reduce(0, +))
        total.selection_seconds += report.selectionSeconds
        total.certificate_seconds += report.certificateSeconds
        total.kernel_seconds += report.kernelSeconds
        for (head, certificate) in (report.certificates ?? []).enumerated() {
            call.certificates?.write(certificate, at: batch * call.shape.queryHeads + head)
        }
        let attended = ContinuousClock.now
        conversion.finish(output.readOnly, call.output, batch: batch)
        total.conversion_seconds += (ContinuousClock.now - attended).seconds
    }

    private func attend(
        _ inputs: LayerInputs, _ policy: AttentionPolicy, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?
    ) throws(InputError) -> AttentionReport {
        guard let window = call.window else {
            let call = LayerCall(inputs: inputs, layer: call.layer, promptLength: call.promptLength, kernel: kernel)
            return try policy.attend(call, output: output, logSumExp: logSumExp, workspace: memory.workspace)
        }
        let start = ContinuousClock.now
        let pattern = SparsePattern.windowColumns(WindowColumns(window: window, columns: []))
        let plan = try AttentionPlan(shape: inputs.shape, patterns: Array(repeating: pattern, count: inputs.shape.queryHeads))
        kernel.run(
            plan, query: inputs.query, key: inputs.key, value: inputs.value, output: output, logSumExp: logSumExp,
            workspace: memory.workspace)
        return AttentionReport(
            keptPairs: plan.keptPairs, causalPairs: inputs.shape.causalPairs, selectionSeconds: 0,
            kernelSeconds: (ContinuousClock.now - start).seconds)
    }
}
