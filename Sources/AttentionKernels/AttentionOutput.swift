import AttentionCore

/// What attention gave, in memory of its own.
public struct AttentionOutput: Hashable, Sendable {
    /// [queryHeads][queryCount][d], in the layout of the queries.
    public let heads: HeadArray
    /// [queryHeads][queryCount]: log Σ exp(score) over the keys a row kept, natural logarithm.
    public let logSumExp: [Float]

    /// What `body` writes: rows of [queryHeads][queryCount][d] and their sums [queryHeads][queryCount], valid until it returns.
    package init<Failure: Error>(
        shape: AttentionShape, layout: HeadArray.Layout,
        writing body: (_ output: MutableHeadTensor, _ logSumExp: UnsafeMutablePointer<Float>) throws(Failure) -> Void
    ) throws(Failure) {
        var sums = [Float](repeating: 0, count: shape.queryHeads * shape.queryCount)
        heads = try HeadArray(heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension, layout: layout) {
            output throws(Failure) in
            try sums.withUnsafeMutableBufferPointer { sums throws(Failure) in try body(output, sums.baseAddress!) }
        }
        logSumExp = sums
    }
}

extension AttentionKernel {
    /// Runs a plan on arrays. The same as `run(_:query:key:value:output:logSumExp:workspace:)`, without a pointer.
    ///
    /// Shapes: query [queryHeads][queryCount][d]; key and value [keyValueHeads][keyCount][d]; each in a layout of its own.
    /// - Throws: `InputError` (`usage`) when the arrays do not fit each other or are not of the plan's shape.
    public func run(
        _ plan: AttentionPlan, query: HeadArray, key: HeadArray, value: HeadArray, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionOutput {
        let shape = try AttentionShape(query: query, key: key, value: value)
        guard shape == plan.shape else {
            throw InputError(.usage, field: "query, key, value", value: "\(shape)", rule: "must be of the plan's shape, \(plan.shape)")
        }
        return AttentionOutput(shape: shape, layout: query.layout) { output, logSumExp in
            query.withTensor { query in
                key.withTensor { key in
                    value.withTensor { value in
                        run(
                            plan, query: query, key: key, value: value, output: output, logSumExp: logSumExp, workspace: workspace)
                    }
                }
            }
        }
    }
}
