import AttentionCore
import AttentionKernels
import SampleAttention

/// MInference's vertical-slash pattern: the key columns and diagonals that are heaviest in the last queries' attention.
///
/// 1. Exact softmax of the last `estimateRows` queries. 2. The `verticals` heaviest key columns and the heaviest diagonals that
/// hold `slashTokens` offsets. The first `sinks` keys and a window of `localTokens` are kept always.
/// Diagonals are those of 128-token blocks, as the shared kernel runs them, where the original has bands of 64 tokens.
/// Source: MInference 1.0 (arXiv 2407.02490): 64 last queries, 1,000 verticals and 6,096 slashes where no search has set a head's
/// own; the 30 first keys and 100 last diagonals always.
public struct VerticalSlash: PatternMethod {
    public var estimateRows = 64
    public var verticals = 1000
    public var slashTokens = 6096
    public var sinks = 30
    public var localTokens = 100
    public var budget: Budget

    public init(budget: Budget = .own) { self.budget = budget }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let estimates = LastRowsEstimate(call, rows: estimateRows, workspace: workspace)
        return call.patternOfEachHead { head in
            let columns = FewestToReach(estimates.columns[head], keepingFirst: sinks)
            let slashes = FewestToReach(estimates.blocks[head].slashes, keepingFirst: 1)
            return budget.pattern(shape: call.shape) { strength in
                let tokens = strength.map { $0 * Double(call.shape.keyCount) }
                let window = tokens.map { min(localTokens, max(1, Int($0))) } ?? localTokens
                let vertical = columns.positions(heaviest: tokens.map { Int($0) } ?? verticals).positions
                let blocks = BlockMask.blockCount(tokens: tokens.map { Int($0) } ?? slashTokens)
                return .union([
                    .windowColumns(WindowColumns(window: window, columns: vertical)),
                    .columnsSlashes(ColumnsSlashes(columns: [], slashes: slashes.positions(heaviest: blocks).positions)),
                ])
            }
        }
    }
}

/// What the last queries attend to: by key, and by 128-token column and diagonal.
struct LastRowsEstimate: Sendable {
    /// [head][key].
    let columns: [[Float]]
    /// [head].
    let blocks: [SampledScores.BlockMasses]

    init(_ call: LayerCall, rows count: Int, workspace: AttentionWorkspace) {
        let shape = call.shape
        let rows = Array(max(0, shape.queryCount - count)..<shape.queryCount)
        let scores = SampledScores(kernel: call.kernel)
        let (query, key) = (call.inputs.query, call.inputs.key)
        columns = scores.columnMasses(
            query: query, key: key, shape: shape, requests: (0..<shape.queryHeads).map { ($0, rows, .all) }, workspace: workspace)
        blocks = scores.blockMasses(
            query: query, key: key, shape: shape, requests: (0..<shape.queryHeads).map { ($0, rows) }, workspace: workspace)
    }
}
