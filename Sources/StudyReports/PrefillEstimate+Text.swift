import LanguageModels
import Reporting

extension PrefillEstimate {
    /// Two tables: the count often quoted for the paper, and the complete one.
    package var text: String {
        let e = self
        func scaled(_ value: Double, _ unit: String) -> String {
            let (factor, prefix) = value >= 1e12 ? (1e12, "T") : value >= 1e9 ? (1e9, "G") : (1e6, "M")
            return "\(NumberFormat.significant(value / factor, digits: 4)) \(prefix)\(unit)"
        }
        func operations(_ value: Double) -> String { value == 0 ? NumberFormat.missing : scaled(value, "") }
        func bytes(_ value: Double) -> String { value == 0 ? NumberFormat.missing : scaled(value, "B") }
        func ratio(_ full: Double, _ sparse: Double) -> String { "\(NumberFormat.significant(full / sparse, digits: 3))×" }
        let s = e.shape
        let head =
            "\(s.name): \(s.layers) layers, \(s.queryHeads) query and \(s.keyValueHeads) key-value heads of \(s.headDimension); "
            + "\(e.length) tokens, \(e.keptKeys) kept keys (\(NumberFormat.percent(Double(e.keptKeys) / Double(e.length))))\n"

        let r = e.review
        var review = TextTable(columns: [.left("simple count, as often quoted"), .right("full"), .right("sparse"), .right("ratio")])
        review.append([
            "score operations, one head", operations(r.fullOperations), operations(r.sparseOperations),
            ratio(r.fullOperations, r.sparseOperations),
        ])
        review.append([
            "Q, K, V / kept keys, one head", bytes(r.projectionBytes), bytes(r.keptKeyBytes), ratio(r.projectionBytes, r.keptKeyBytes),
        ])
        review.append([
            "score matrix, one head", bytes(r.fullScoreBytes), bytes(r.sparseScoreBytes), ratio(r.fullScoreBytes, r.sparseScoreBytes),
        ])
        review.append([
            "\(s.queryHeads) heads at once", bytes(r.fullTotalBytes), bytes(r.sparseTotalBytes),
            ratio(r.fullTotalBytes, r.sparseTotalBytes),
        ])

        let c = e.complete
        var complete = TextTable(columns: [.left("complete, whole model"), .right("full"), .right("sparse"), .right("ratio")])
        complete.append([
            "attention operations", operations(c.fullAttentionOperations), operations(c.sparseAttentionOperations),
            ratio(c.fullAttentionOperations, c.sparseAttentionOperations),
        ])
        complete.append([
            "selection, \(NumberFormat.percent(e.sampleRatio)) of rows", operations(0), operations(c.selectionOperations),
            NumberFormat.missing,
        ])
        complete.append(["projections, MLP, head", operations(c.linearOperations), operations(c.linearOperations), "1×"])
        complete.append([
            "prefill", operations(c.fullAttentionOperations + c.linearOperations),
            operations(c.sparseAttentionOperations + c.selectionOperations + c.linearOperations), ratio(c.prefillRatio, 1),
        ])
        complete.append(["key-value cache", bytes(c.cacheBytes), bytes(c.cacheBytes), "1×"])
        complete.append(["Q and output, one layer", bytes(c.activationBytes), bytes(c.activationBytes), "1×"])
        complete.append(["masses and gathered columns, one layer", bytes(0), bytes(c.selectionBytes), NumberFormat.missing])

        return head + "\n" + review.text() + """

            What the simple count leaves out: the product with V (as many operations again) and the second operation of a
            multiply-add; causality, which halves the full pairs but not a window's; the selection; projections and MLP, which
            sparse attention does not speed up; grouped queries (\(s.keyValueHeads) key-value heads, not \(s.queryHeads)); and that no streaming
            kernel stores a score matrix, so its memory ratio describes neither method as it is run. A window of 8 % of \(e.length) tokens
            alone would be \(e.length * 8 / 100) keys.


            """ + complete.text()
    }
}
