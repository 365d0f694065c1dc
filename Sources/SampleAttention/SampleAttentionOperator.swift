import AttentionCore
import AttentionKernels

/// SampleAttention for one layer: sample rows, select columns, run the shared kernel.
///
/// Stage 1 scores a share of the query rows and sums their probabilities down each key column, or down 128-token columns and
/// slashes; stage 2 keeps, per head, the fewest that reach α (beside the window, for stripes); then attention runs over what
/// is kept, renormalised, with the prompt's last rows dense.
///
/// Source: SampleAttention (arXiv 2406.15486): v2 (window + stripes), v3 (columns + slashes).
public struct SampleAttentionOperator: Sendable {
    public let kernel: AttentionKernel

    public init(kernel: AttentionKernel) { self.kernel = kernel }

    /// One layer's inputs: Q [queryHeads][queryCount][d], K and V [keyValueHeads][keyCount][d].
    public struct Inputs: Sendable {
        public let query, key, value: HeadTensor
        public let shape: AttentionShape

        public init(query: HeadTensor, key: HeadTensor, value: HeadTensor) {
            self.query = query
            self.key = key
            self.value = value
            shape = AttentionShape(
                queryHeads: query.heads, keyValueHeads: key.heads, queryCount: query.tokens, keyCount: key.tokens,
                headDimension: query.dimension)
        }
    }

    /// What one call kept and what it cost.
    public struct Report: Sendable {
        /// Kept pairs of each query head.
        public let keptPairs: [Int]
        /// Causal pairs of one head.
        public let causalPairs: Int
        /// Each head's mass in the sampled rows; 1 for dense heads.
        public let sampledMass: [Double]
        public let selectionSeconds: Double
        public let kernelSeconds: Double

        /// Kept over causal pairs, all heads together.
        public var density: Double { Double(keptPairs.reduce(0, +)) / Double(causalPairs * keptPairs.count) }
    }

    /// Attends with one set of parameters a query head.
    ///
    /// - Parameters:
    ///   - promptLength: the whole prompt's length: windows given as a ratio and the dense last rows refer to it. A chunked
    ///     prefill so keeps the same windows; columns are chosen chunk by chunk, from the chunk's own queries.
    ///   - logSumExp: [queryHeads][queryCount] over the kept keys, optional.
    /// - Throws: `InputError` (`usage`) when `parameters` does not have one entry a query head.
    public func attend(
        _ inputs: Inputs, parameters: [SampleAttentionParameters], promptLength: Int, output: MutableHeadTensor,
        logSumExp: UnsafeMutablePointer<Float>? = nil, workspace: AttentionWorkspace
    ) throws(InputError) -> Report {
        guard parameters.count == inputs.shape.queryHeads else {
            throw InputError(
                .usage, field: "parameters", value: "\(parameters.count)",
                rule: "there must be one for each of \(inputs.shape.queryHeads) query heads")
        }
        let start = ContinuousClock.now
        let selections = select(inputs, parameters: parameters, promptLength: promptLength, workspace: workspace)
        let patterns = zip(parameters, selections).map { parameters, selection in
            Self.pattern(parameters, selection: selection, shape: inputs.shape, promptLength: promptLength)
        }
        let plan = try AttentionPlan(shape: inputs.shape, patterns: patterns)
        let selected = ContinuousClock.now
        kernel.run(
            plan, query: inputs.query, key: inputs.key, value: inputs.value, output: output, logSumExp: logSumExp,
            workspace: workspace)
        return Report(
            keptPairs: plan.keptPairs, causalPairs: inputs.shape.causalPairs, sampledMass: selections.map(\.sampledMass),
            selectionSeconds: (selected - start).seconds, kernelSeconds: (ContinuousClock.now - selected).seconds)
    }

    /// Stages 1 and 2: what each head keeps beside its window; `parameters` has one entry a query head.
    public func select(
        _ inputs: Inputs, parameters: [SampleAttentionParameters], promptLength: Int, workspace: AttentionWorkspace
    ) -> [HeadSelection] {
        precondition(parameters.count == inputs.shape.queryHeads, "there must be parameters for each query head")
        var selections = [HeadSelection](repeating: .dense, count: parameters.count)
        let scores = SampledScores(kernel: kernel)
        func heads(_ pattern: SampleAttentionParameters.Pattern) -> [(head: Int, rows: [Int])] {
            parameters.indices.filter { parameters[$0].pattern == pattern }
                .map { ($0, parameters[$0].samplingPlan(queryCount: inputs.shape.queryCount).rows) }
        }

        let striped = heads(.stripeWindow)
        let masses = scores.columnMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape,
            requests: striped.map { ($0.head, $0.rows, parameters[$0.head].massRule(promptLength: promptLength)) }, workspace: workspace)
        // Each head on a thread of its own: a selection is quick, but not nothing.
        selections.withUnsafeMutableBufferPointer { all in
            let target = SharedPointer(all.baseAddress!)
            kernel.pool.run(striped.count) { _, index in
                let (head, rows) = striped[index]
                target.base[head] = .stripes(
                    StripeSelection.fewest(columnMass: masses[index], rows: rows.count, parameters: parameters[head]))
            }
        }

        let crossed = heads(.columnSlash)
        let blocks = scores.blockMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape, requests: crossed, workspace: workspace)
        for ((head, _), mass) in zip(crossed, blocks) {
            selections[head] = .columnSlash(
                ColumnSlashSelection.fewest(columnMass: mass.columns, slashMass: mass.slashes, parameters: parameters[head]))
        }
        return selections
    }

    /// The pattern that parameters and a selection stand for.
    public static func pattern(
        _ parameters: SampleAttentionParameters, selection: HeadSelection, shape: AttentionShape, promptLength: Int
    ) -> SparsePattern {
        let denseRows = max(0, parameters.denseLastRows - (promptLength - shape.keyCount))
        switch selection {
        case .dense: return .dense
        case .stripes(let stripes):
            return .windowColumns(
                WindowColumns(
                    window: parameters.window.positions(promptLength: promptLength), columns: stripes.columns, denseLastRows: denseRows))
        case .columnSlash(let lines):
            return .columnsSlashes(ColumnsSlashes(columns: lines.columns, slashes: lines.slashes, denseLastRows: denseRows))
        }
    }
}

/// What stages 1 and 2 chose for one head.
public enum HeadSelection: Sendable, Hashable {
    /// Nothing to choose.
    case dense
    case stripes(StripeSelection)
    case columnSlash(ColumnSlashSelection)

    /// The share of the sampled rows' mass that is kept (for column-slash at least kept): 1 for dense heads.
    public var sampledMass: Double {
        switch self {
        case .dense: 1
        case .stripes(let selection): selection.sampledMass
        case .columnSlash(let selection): selection.sampledMass
        }
    }
}

extension SampleAttentionParameters {
    fileprivate func massRule(promptLength: Int) -> SampledScores.MassRule {
        switch columnScoring {
        case .allMass: .all
        case .windowAware: .outsideWindow(window.positions(promptLength: promptLength))
        }
    }
}
