import AttentionCore
import AttentionKernels
import LinearAlgebra
import Parallelism
import SampleAttention

/// What says which key columns matter, in place of sampled rows' exact attention.
public enum ColumnImportance: Sendable, Hashable {
    /// Keys of small norm first, 1 / ‖k‖: no query is read. Heads' sinks tend to have the smallest keys (arXiv 2406.11430).
    case keyNorms
    /// The sampled rows' softmax of scores between projections onto the `rank` main axes of the keys.
    case lowRank(Int)
    /// The exact softmax of the means of 128 queries next to each other: one row a block, at its end.
    case pooledQueries

    /// What `ImportanceStripes` selects from: masses of key columns and the number of rows that they add up to; nil where they are
    /// ranks only.
    struct Masses: Sendable {
        /// [head][key].
        let columns: [[Float]]
        let rows: Int?
    }

    func masses(_ call: LayerCall, parameters: SampleAttentionParameters, window: Int, workspace: AttentionWorkspace) -> Masses {
        switch self {
        case .keyNorms: return Masses(columns: Self.inverseNorms(call), rows: nil)
        case .lowRank(let rank):
            let projection = LowRankHeads(call, rank: rank)
            let rows = parameters.samplingPlan(queryCount: call.shape.queryCount).rows
            return projection.withTensors { query, key in
                Self.masses(call, query: query, key: key, rows: rows, window: window, workspace: workspace)
            }
        case .pooledQueries:
            let pooled = PooledQueries(call)
            return Self.masses(
                call, query: pooled.tensor, key: call.inputs.key, rows: pooled.rows, window: window, workspace: workspace)
        }
    }

    private static func masses(
        _ call: LayerCall, query: HeadTensor, key: HeadTensor, rows: [Int], window: Int, workspace: AttentionWorkspace
    ) -> Masses {
        let shape = AttentionShape(
            queryHeads: query.heads, keyValueHeads: key.heads, queryCount: query.tokens, keyCount: key.tokens,
            headDimension: query.dimension)
        let columns = SampledScores(kernel: call.kernel).columnMasses(
            query: query, key: key, shape: shape, requests: (0..<shape.queryHeads).map { ($0, rows, .outsideWindow(window)) },
            workspace: workspace)
        return Masses(columns: columns, rows: rows.count)
    }

    private static func inverseNorms(_ call: LayerCall) -> [[Float]] {
        let key = call.inputs.key
        let norms = call.pool.map(key.heads) { head in
            (0..<key.tokens).map { token -> Float in
                let row = key.row(head: head, token: token)
                var sum: Float = 0
                for t in 0..<key.dimension { sum += row[t] * row[t] }
                return 1 / max(sum, .leastNormalMagnitude).squareRoot()
            }
        }
        return (0..<call.shape.queryHeads).map { norms[call.shape.keyValueHead(of: $0)] }
    }
}

/// Window and columns, the columns chosen by an importance that costs little.
///
/// With masses of rows, the fewest columns that reach α beside the window; with ranks only, as many as the window has positions;
/// with a density, what it has room for.
public struct ImportanceStripes: PatternMethod {
    public let importance: ColumnImportance
    public let parameters: SampleAttentionParameters
    public let budget: Budget

    public init(_ importance: ColumnImportance, parameters: SampleAttentionParameters = .standard, budget: Budget = .own) {
        self.importance = importance
        self.parameters = parameters
        self.budget = budget
    }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        if case .density = budget {
            let plan = StripeBudget(call, denseLastRows: parameters.denseLastRows, budget: budget)
            let masses = importance.masses(call, parameters: parameters, window: plan.window, workspace: workspace)
            return call.patternOfEachHead { plan.pattern(FewestToReach(masses.columns[$0], keepingFirst: parameters.sinks)) }
        }
        let window = parameters.window.positions(promptLength: call.promptLength)
        let masses = importance.masses(call, parameters: parameters, window: window, workspace: workspace)
        return call.patternOfEachHead { head in
            var own = parameters
            if masses.rows == nil { own.columnCount = max(own.sinks, window) }
            let stripes = StripeSelection.fewest(columnMass: masses.columns[head], rows: masses.rows ?? 1, parameters: own)
            return SampleAttentionOperator.pattern(
                own, selection: .stripes(stripes), shape: call.shape, promptLength: call.promptLength)
        }
    }
}

/// Queries and keys on the keys' main axes.
private struct LowRankHeads: ~Copyable {
    private let query, key: AlignedBuffer<Float>
    private let shape: AttentionShape
    private let rank: Int

    /// Axes are the eigenvectors of Σ k kᵀ over every eighth key. O(tokens · d · rank) a head.
    init(_ call: LayerCall, rank: Int) {
        let shape = call.shape
        let rank = min(rank, shape.headDimension)
        self.shape = shape
        self.rank = rank
        query = AlignedBuffer(count: shape.queryHeads * shape.queryCount * rank)
        key = AlignedBuffer(count: shape.keyValueHeads * shape.keyCount * rank)
        let (queries, keys) = (SharedPointer(query.base), SharedPointer(key.base))
        // Scores are divided by √rank where they should be by √d.
        let scale = Float((Double(rank) / Double(shape.headDimension)).squareRoot())
        call.pool.run(shape.keyValueHeads) { _, head in
            let own = call.inputs.key.head(head)
            let axes = Self.mainAxes(own, rank: rank)
            Self.project(own, on: axes, rank: rank, into: keys.base + head * shape.keyCount * rank)
            let scaled = axes.map { $0 * scale }
            for queryHead in head * shape.groupSize..<(head + 1) * shape.groupSize {
                Self.project(
                    call.inputs.query.head(queryHead), on: scaled, rank: rank, into: queries.base + queryHead * shape.queryCount * rank)
            }
        }
    }

    func withTensors<Result>(_ body: (_ query: HeadTensor, _ key: HeadTensor) -> Result) -> Result {
        body(
            HeadTensor(
                base: query.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: rank, headStride: shape.queryCount * rank,
                tokenStride: rank),
            HeadTensor(
                base: key.base, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: rank, headStride: shape.keyCount * rank,
                tokenStride: rank))
    }

    /// [dimension][rank].
    private static func mainAxes(_ keys: HeadTensor, rank: Int) -> [Float] {
        let d = keys.dimension
        var products = [Double](repeating: 0, count: d * d)
        for token in stride(from: 0, to: keys.tokens, by: 8) {
            let row = keys.row(head: 0, token: token)
            for i in 0..<d { for j in 0...i { products[i * d + j] += Double(row[i] * row[j]) } }
        }
        // Keys that are not numbers have no axes; attention over them will say so.
        guard products.allSatisfy(\.isFinite) else { return [Float](repeating: 0, count: d * rank) }
        let axes = SymmetricEigenvectors(products, order: d)
        return (0..<d).flatMap { i in (0..<rank).map { Float(axes.vector(d - 1 - $0)[i]) } }
    }

    private static func project(_ rows: HeadTensor, on axes: [Float], rank: Int, into target: UnsafeMutablePointer<Float>) {
        axes.withUnsafeBufferPointer {
            MatrixProduct.multiply(
                rows: rows.tokens, columns: rank, inner: rows.dimension, a: rows.base, aStride: rows.tokenStride, b: $0.baseAddress!,
                bStride: rank, transposedB: false, into: target, cStride: rank)
        }
    }
}

/// A query tensor that holds, at the last row of each 128 rows, their mean; other rows are zero and not to be read.
private struct PooledQueries: ~Copyable {
    /// Rows that hold a mean.
    let rows: [Int]
    private let storage: AlignedBuffer<Float>
    private let shape: AttentionShape

    init(_ call: LayerCall) {
        let shape = call.shape
        self.shape = shape
        let size = BlockMask.blockSize
        let blocks = stride(from: 0, to: shape.queryCount, by: size).map { $0..<min($0 + size, shape.queryCount) }
        rows = blocks.map { $0.upperBound - 1 }
        storage = AlignedBuffer(count: shape.queryHeads * shape.queryCount * shape.headDimension)
        let target = SharedPointer(storage.base)
        call.pool.run(shape.queryHeads) { _, head in
            for block in blocks {
                let mean = target.base + (head * shape.queryCount + block.upperBound - 1) * shape.headDimension
                for token in block {
                    let row = call.inputs.query.row(head: head, token: token)
                    for t in 0..<shape.headDimension { mean[t] += row[t] / Float(block.count) }
                }
            }
        }
    }

    var tensor: HeadTensor {
        HeadTensor(
            base: storage.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension,
            headStride: shape.queryCount * shape.headDimension, tokenStride: shape.headDimension)
    }
}
