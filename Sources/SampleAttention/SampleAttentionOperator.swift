import AttentionCore
import AttentionKernels

/// SampleAttention for one layer: sample rows, select columns, run the shared kernel.
///
/// Stage 1 scores a share of the query rows and sums their probabilities down each key column; stage 2 keeps, per head, the
/// fewest columns that reach α beside the window; then attention runs over window ∪ columns, renormalised, with the
/// prompt's last rows dense.
///
/// Source: SampleAttention (arXiv 2406.15486), the v2 (window + stripes) algorithm.
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
            keptPairs: plan.keptPairs, causalPairs: inputs.shape.causalPairs, sampledMass: selections.map { $0?.sampledMass ?? 1 },
            selectionSeconds: (selected - start).seconds, kernelSeconds: (ContinuousClock.now - selected).seconds)
    }

    /// Stages 1 and 2: the columns of each head, nil for dense heads.
    ///
    /// Traps when a head asks for column-slash.
    public func select(
        _ inputs: Inputs, parameters: [SampleAttentionParameters], promptLength: Int, workspace: AttentionWorkspace
    ) -> [StripeSelection?] {
        // COLUMN-SLASH: block masses of these heads go to `ColumnSlashSelection.fewest`, and its blocks to a pattern.
        precondition(
            !parameters.contains { $0.pattern == .columnSlash },
            "column-slash heads cannot be selected: the kernel does not measure the mass of blocks and diagonals")
        let heads = parameters.indices.filter { parameters[$0].pattern == .stripeWindow }
        let requests = heads.map { head in
            let own = parameters[head]
            let rows = own.samplingPlan(queryCount: inputs.shape.queryCount).rows
            let rule: SampledScores.MassRule =
                switch own.columnScoring {
                case .allMass: .all
                case .windowAware: .outsideWindow(own.window.positions(promptLength: promptLength))
                }
            return (head: head, rows: rows, rule: rule)
        }
        let masses = SampledScores(kernel: kernel).columnMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape, requests: requests, workspace: workspace)
        var selections = [StripeSelection?](repeating: nil, count: parameters.count)
        for (request, mass) in zip(requests, masses) {
            selections[request.head] = StripeSelection.fewest(
                columnMass: mass, rows: request.rows.count, parameters: parameters[request.head])
        }
        return selections
    }

    /// The pattern that parameters and a selection stand for.
    public static func pattern(
        _ parameters: SampleAttentionParameters, selection: StripeSelection?, shape: AttentionShape, promptLength: Int
    ) -> SparsePattern {
        precondition(parameters.pattern != .columnSlash, "a column-slash head has no stripes")
        guard parameters.pattern == .stripeWindow, let selection else { return .dense }
        let denseRows = max(0, parameters.denseLastRows - (promptLength - shape.keyCount))
        return .windowColumns(
            WindowColumns(
                window: parameters.window.positions(promptLength: promptLength), columns: selection.columns,
                denseLastRows: denseRows))
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double {
        let (whole, atto) = components
        return Double(whole) + Double(atto) * 1e-18
    }
}
