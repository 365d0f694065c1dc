import AttentionCore
import AttentionKernels

extension SampleAttentionOperator {
    /// Attends on arrays, without a pointer; everything else is as in
    /// `attend(_:parameters:promptLength:output:logSumExp:certification:workspace:)`.
    ///
    /// Shapes: query [queryHeads][queryCount][d]; key and value [keyValueHeads][keyCount][d], rotated, not scaled; each in a layout of
    /// its own.
    ///
    /// - Parameters:
    ///   - parameters: one entry a query head.
    ///   - promptLength: the whole prompt's length, to which windows and dense rows refer; nil where the keys are all of it.
    ///   - certification: asks for a certificate of each head.
    ///   - workspace: memory to work in, for calls that follow each other; nil makes one.
    /// - Throws: `InputError`: `usage` when the arrays do not fit each other, or `promptLength` is below the keys; and as the form with
    ///   views.
    public func attend(
        query: HeadArray, key: HeadArray, value: HeadArray, parameters: [SampleAttentionParameters], promptLength: Int? = nil,
        certification: Certification? = nil, workspace: AttentionWorkspace? = nil
    ) throws(InputError) -> (output: AttentionOutput, report: AttentionReport) {
        let shape = try AttentionShape(query: query, key: key, value: value)
        let promptLength = promptLength ?? shape.keyCount
        guard promptLength >= shape.keyCount else {
            throw InputError(
                .usage, field: "promptLength", value: "\(promptLength)", rule: "must not be below the \(shape.keyCount) keys")
        }
        var report: AttentionReport?
        let output = try AttentionOutput(shape: shape, layout: query.layout) { output, logSumExp throws(InputError) in
            report = try query.withTensor { query throws(InputError) in
                try key.withTensor { key throws(InputError) in
                    try value.withTensor { value throws(InputError) in
                        try attend(
                            LayerInputs(query: query, key: key, value: value), parameters: parameters, promptLength: promptLength,
                            output: output, logSumExp: logSumExp, certification: certification,
                            workspace: workspace ?? AttentionWorkspace())
                    }
                }
            }
        }
        return (output, report!)
    }
}
