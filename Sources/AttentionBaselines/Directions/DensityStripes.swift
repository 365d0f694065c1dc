import AttentionCore
import AttentionKernels
import SampleAttention

/// SampleAttention's patterns at a given density: the heaviest columns that the budget has room for instead of the fewest that reach α.
///
/// Stripes spend half of the budget on the window and the rest on columns; column-slash gives columns and slashes the same share of
/// the sampled mass; key-blocks keeps its window, or one of half the budget where that is shorter, and gives every query block the
/// same number of key blocks. The dense last rows count.
public struct DensityStripes: PatternMethod {
    /// Everything is used but α, the window of stripes and the count of key blocks.
    public let parameters: SampleAttentionParameters
    public let density: Fraction

    public init(parameters: SampleAttentionParameters, density: Fraction) {
        self.parameters = parameters
        self.density = density
    }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let rows = parameters.samplingPlan(queryCount: call.shape.queryCount).rows
        switch parameters.pattern {
        case .stripeWindow: return stripes(call, rows: rows, workspace: workspace)
        case .columnSlash: return lines(call, rows: rows, workspace: workspace)
        case .keyBlocks: return keyBlocks(call, workspace: workspace)
        case .window, .dense: preconditionFailure("only patterns that select have a density to choose")
        }
    }

    private func stripes(_ call: LayerCall, rows: [Int], workspace: AttentionWorkspace) -> [SparsePattern] {
        let plan = StripeBudget(call, denseLastRows: parameters.denseLastRows, budget: .density(density))
        let rule: SampledScores.MassRule = parameters.columnScoring == .allMass ? .all : .outsideWindow(plan.window)
        let masses = SampledScores(kernel: call.kernel).columnMasses(
            query: call.inputs.query, key: call.inputs.key, shape: call.shape,
            requests: (0..<call.shape.queryHeads).map { ($0, rows, rule) }, workspace: workspace)
        return call.patternOfEachHead { plan.pattern(FewestToReach(masses[$0], keepingFirst: parameters.sinks)) }
    }

    private func lines(_ call: LayerCall, rows: [Int], workspace: AttentionWorkspace) -> [SparsePattern] {
        let masses = SampledScores(kernel: call.kernel).blockMasses(
            query: call.inputs.query, key: call.inputs.key, shape: call.shape, requests: (0..<call.shape.queryHeads).map { ($0, rows) },
            workspace: workspace)
        let denseRows = call.denseRows(parameters.denseLastRows)
        return call.patternOfEachHead { head in
            let columns = FewestToReach(masses[head].columns)
            let slashes = FewestToReach(masses[head].slashes, keepingFirst: 1)
            return Budget.density(density).pattern(shape: call.shape) { strength in
                let share = strength ?? 1
                return .columnsSlashes(
                    ColumnsSlashes(
                        columns: columns.positions(reaching: share * columns.total).positions,
                        slashes: slashes.positions(reaching: share * slashes.total).positions, denseLastRows: denseRows))
            }
        }
    }
}

extension DensityStripes {
    private func keyBlocks(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let plan = StripeBudget(call, denseLastRows: parameters.denseLastRows, budget: .density(density))
        var ranked = parameters
        ranked.window = .tokens(min(parameters.window.positions(promptLength: call.promptLength), plan.window))
        // c blocks in every query block, or all where there are fewer, keep a share 2x − x² with x = c / all: at least x.
        ranked.keyBlockCount = max(1, density.ceiling(of: call.shape.keyCount / parameters.keyBlockTokens + 1))
        let most = ranked
        let sampled = SampleAttentionOperator(kernel: call.kernel).sample(
            call.inputs, parameters: Array(repeating: most, count: call.shape.queryHeads), promptLength: call.promptLength,
            workspace: workspace)
        return call.patternOfEachHead { head in
            Budget.density(density).pattern(shape: call.shape) { strength in
                var own = most
                own.keyBlockCount = Int(((strength ?? 1) * Double(most.keyBlockCount)).rounded())
                return SampleAttentionOperator.pattern(
                    own, selection: sampled[head].selection(own), shape: call.shape, promptLength: call.promptLength)
            }
        }
    }
}

/// Half of a density as a window, the rest as columns.
struct StripeBudget: Sendable {
    /// Positions.
    let window: Int
    private let call: LayerCall
    private let denseRows: Int
    private let budget: Budget

    init(_ call: LayerCall, denseLastRows: Int, budget: Budget) {
        guard case .density(let density) = budget else { preconditionFailure("only a density is divided") }
        self.call = call
        self.budget = budget
        denseRows = call.denseRows(denseLastRows)
        let windowed = Budget.density(try! Fraction(density.value / 2)).pattern(shape: call.shape) { strength in
            .windowColumns(WindowColumns(window: max(1, Int((strength ?? 1) * Double(call.promptLength))), columns: []))
        }
        window = windowed.parts.window
    }

    /// As many of the heaviest columns as fit.
    func pattern(_ columns: FewestToReach) -> SparsePattern {
        budget.pattern(shape: call.shape) { strength in
            let count = Int((strength ?? 1) * Double(call.shape.keyCount))
            return .windowColumns(
                WindowColumns(window: window, columns: columns.positions(heaviest: count).positions, denseLastRows: denseRows))
        }
    }
}

extension LayerCall {
    /// How many of a prompt's last rows are among this call's.
    func denseRows(_ lastRows: Int) -> Int { max(0, lastRows - (promptLength - shape.keyCount)) }
}
