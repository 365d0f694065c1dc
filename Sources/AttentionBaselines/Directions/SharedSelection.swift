import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention
import Synchronization

/// SampleAttention whose columns are chosen once for several heads.
///
/// Layers that share are those of one prefill: see `begunPrefill`.
public final class SharedSelection: PatternMethod {
    public enum Scope: Sendable, Hashable {
        /// The query heads of a key-value head have one set of columns. Each of them scores its share of the sampled rows.
        case group
        /// Layers take the patterns of the last layer before them whose index is a multiple of this, head by head.
        case layers(Int)
    }

    private let scope: Scope
    private let parameters: SampleAttentionParameters
    private let budget: Budget
    private let last = Mutex<Last?>(nil)

    /// What a later layer of the same prefill may take over.
    private struct Last {
        let shape: AttentionShape
        let patterns: [SparsePattern]
    }

    /// - Parameter parameters: of stripe-window.
    public init(_ scope: Scope, parameters: SampleAttentionParameters = .standard, budget: Budget = .own) {
        precondition(parameters.pattern == .stripeWindow, "columns are what is shared")
        self.scope = scope
        self.parameters = parameters
        self.budget = budget
    }

    public func begunPrefill() -> SharedSelection { SharedSelection(scope, parameters: parameters, budget: budget) }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) throws(InputError) -> [SparsePattern] {
        switch scope {
        case .group: return ofGroups(call, workspace: workspace)
        case .layers(let period):
            let known = last.withLock { $0 }
            if call.layer % period != 0, let known, known.shape == call.shape { return known.patterns }
            let patterns = try ofEachHead(call, workspace: workspace)
            last.withLock { $0 = Last(shape: call.shape, patterns: patterns) }
            return patterns
        }
    }

    private func ofEachHead(_ call: LayerCall, workspace: AttentionWorkspace) throws(InputError) -> [SparsePattern] {
        if case .density(let density) = budget {
            return DensityStripes(parameters: parameters, density: density).patterns(call, workspace: workspace)
        }
        let all = Array(repeating: parameters, count: call.shape.queryHeads)
        return SampleAttentionOperator(kernel: call.kernel)
            .select(call.inputs, parameters: all, promptLength: call.promptLength, workspace: workspace)
            .map {
                SampleAttentionOperator.pattern(parameters, selection: $0, shape: call.shape, promptLength: call.promptLength)
            }
    }

    private func ofGroups(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let shape = call.shape
        let rows = parameters.samplingPlan(queryCount: shape.queryCount).rows
        let plan: StripeBudget? =
            if case .density = budget { StripeBudget(call, denseLastRows: parameters.denseLastRows, budget: budget) } else { nil }
        let window = plan?.window ?? parameters.window.positions(promptLength: call.promptLength)
        let rule: SampledScores.MassRule = parameters.columnScoring == .allMass ? .all : .outsideWindow(window)
        let masses = SampledScores(kernel: call.kernel).columnMasses(
            query: call.inputs.query, key: call.inputs.key, shape: shape,
            requests: (0..<shape.queryHeads).map { head in
                (head, rows.indices.filter { $0 % shape.groupSize == head % shape.groupSize }.map { rows[$0] }, rule)
            }, workspace: workspace)
        let groups = call.pool.map(shape.keyValueHeads) { group -> SparsePattern in
            var sum = masses[group * shape.groupSize]
            for head in group * shape.groupSize + 1..<(group + 1) * shape.groupSize {
                for key in sum.indices { sum[key] += masses[head][key] }
            }
            if let plan { return plan.pattern(FewestToReach(sum, keepingFirst: self.parameters.sinks)) }
            let stripes = StripeSelection.fewest(columnMass: sum, rows: rows.count, parameters: self.parameters)
            return SampleAttentionOperator.pattern(
                self.parameters, selection: .stripes(stripes), shape: shape, promptLength: call.promptLength)
        }
        return (0..<shape.queryHeads).map { groups[shape.keyValueHead(of: $0)] }
    }
}
