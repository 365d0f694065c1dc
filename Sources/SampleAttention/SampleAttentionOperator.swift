import AttentionCore
import AttentionKernels
import Parallelism

/// SampleAttention for one layer: sample rows, select columns, run the shared kernel.
///
/// Stage 1 scores a share of the query rows and sums their probabilities down each key column, or down 128-token columns and
/// slashes; stage 2 keeps, per head, the fewest that reach α (beside the window, for stripes); then attention runs over what
/// is kept, renormalised, with the prompt's last rows dense. Heads with key blocks have all rows scored in eight bits instead, and keep
/// for each query block the blocks of keys with the largest scores.
///
/// Source: SampleAttention (arXiv 2406.15486): v2 (window + stripes), v3 (columns + slashes); key blocks are this project's.
public struct SampleAttentionOperator: Sendable {
    public let kernel: AttentionKernel

    public init(kernel: AttentionKernel) { self.kernel = kernel }

    /// Attends with one set of parameters a query head.
    ///
    /// - Parameters:
    ///   - promptLength: the whole prompt's length: windows given as a ratio and the dense last rows refer to it. A chunked
    ///     prefill so keeps the same windows; columns are chosen chunk by chunk, from the chunk's own queries, and key blocks as at
    ///     once where chunks end at multiples of 64 positions.
    ///   - logSumExp: [queryHeads][queryCount] over the kept keys, optional.
    ///   - certification: asks for a certificate of each head, and maybe for a least retained mass; nil costs nothing.
    /// - Throws: `InputError`: `usage` when `parameters` does not have one entry a query head; `invalidData` when certificates are asked
    ///   for and a number of Q, K or V is not finite, or a score might not be.
    public func attend(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, output: MutableHeadTensor,
        logSumExp: UnsafeMutablePointer<Float>? = nil, certification: Certification? = nil, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try attend(
            inputs, parameters: parameters, promptLength: promptLength, output: output, logSumExp: logSumExp, certification: certification,
            workspace: workspace
        ) { sample(inputs, parameters: parameters, promptLength: promptLength, workspace: workspace) }
    }

    /// The same with stage 1 out of the caller's hands, who may have it from an earlier call.
    ///
    /// - Parameter stageOne: one entry a query head, for these parameters.
    package func attend(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, output: MutableHeadTensor,
        logSumExp: UnsafeMutablePointer<Float>? = nil, certification: Certification? = nil, workspace: AttentionWorkspace,
        stageOne: () -> [StageOneResult]
    ) throws(InputError) -> AttentionReport {
        guard parameters.count == inputs.shape.queryHeads else {
            throw InputError(
                .usage, field: "parameters", value: "\(parameters.count)",
                rule: "there must be one for each of \(inputs.shape.queryHeads) query heads")
        }
        var sampled: [StageOneResult] = []
        func selected(_ head: Int, _ parameters: SampleAttentionParameters, _ selection: HeadSelection) -> SelectedHead {
            SelectedHead(
                pattern: Self.pattern(parameters, selection: selection, shape: inputs.shape, promptLength: promptLength),
                sampledMass: selection.sampledMass, scoredRows: sampled[head].rows, alpha: parameters.alpha.value)
        }
        return try SelectedAttention(inputs: inputs, kernel: kernel, certification: certification, workspace: workspace).attend(
            output: output, logSumExp: logSumExp,
            select: {
                sampled = stageOne()
                return zip(parameters, select(sampled, parameters: parameters)).enumerated().map { selected($0, $1.0, $1.1) }
            },
            widen: { head, certification in
                // A window has no columns to add.
                if parameters[head].pattern == .window { return nil }
                return selected(head, parameters[head], sampled[head].selection(certification.escalated(parameters[head])))
            })
    }

    /// Stage 1 of each head.
    package func sample(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, workspace: AttentionWorkspace
    ) -> [StageOneResult] {
        StageOneResult.ofHeads(inputs, parameters: parameters, promptLength: promptLength, kernel: kernel, workspace: workspace)
    }

    /// Stages 1 and 2: what each head keeps beside its window; `parameters` has one entry a query head.
    public func select(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, workspace: AttentionWorkspace
    ) -> [HeadSelection] {
        precondition(parameters.count == inputs.shape.queryHeads, "there must be parameters for each query head")
        return select(
            sample(inputs, parameters: parameters, promptLength: promptLength, workspace: workspace), parameters: parameters)
    }

    /// Stage 2, each head on a thread of its own: a selection is quick, but not nothing.
    private func select(_ sampled: [StageOneResult], parameters: [SampleAttentionParameters]) -> [HeadSelection] {
        kernel.pool.map(sampled.count) { sampled[$0].selection(parameters[$0]) }
    }

    /// The pattern that parameters and a selection stand for.
    public static func pattern(
        _ parameters: SampleAttentionParameters, selection: HeadSelection, shape: AttentionShape, promptLength: Int
    ) -> SparsePattern {
        let denseRows = max(0, parameters.denseLastRows - (promptLength - shape.keyCount))
        func windowColumns(_ columns: some Sequence<Int32>) -> SparsePattern {
            .windowColumns(
                WindowColumns(
                    window: parameters.window.positions(promptLength: promptLength), columns: Array(columns), denseLastRows: denseRows))
        }
        switch selection {
        case .dense: return .dense
        case .window: return windowColumns(0..<Int32(min(parameters.sinks, shape.keyCount)))
        case .stripes(let stripes): return windowColumns(stripes.columns)
        case .columnSlash(let lines):
            return .columnsSlashes(ColumnsSlashes(columns: lines.columns, slashes: lines.slashes, denseLastRows: denseRows))
        case .keyBlocks(let blocks):
            return .windowKeyBlocks(
                WindowKeyBlocks(
                    window: parameters.window.positions(promptLength: promptLength), sinks: min(parameters.sinks, shape.keyCount),
                    blockTokens: blocks.blockTokens, firstQueryBlock: blocks.firstQueryBlock, lists: blocks.lists,
                    denseLastRows: denseRows))
        }
    }
}

/// What stages 1 and 2 chose for one head.
public enum HeadSelection: Sendable, Hashable {
    /// Nothing to choose.
    case dense
    /// The window and the sinks, whatever the keys are.
    case window
    case stripes(StripeSelection)
    case columnSlash(ColumnSlashSelection)
    case keyBlocks(KeyBlockSelection)

    /// The share of the sampled rows' mass that is kept (for column-slash at least kept): 1 for dense heads, nil where nothing
    /// was sampled.
    public var sampledMass: Double? {
        switch self {
        case .dense: 1
        case .window, .keyBlocks: nil
        case .stripes(let selection): selection.sampledMass
        case .columnSlash(let selection): selection.sampledMass
        }
    }
}
