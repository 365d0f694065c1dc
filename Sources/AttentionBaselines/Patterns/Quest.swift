import AttentionCore
import AttentionKernels
import LinearAlgebra
import Parallelism
import SampleAttention

/// Quest: pages of keys ranked by an upper bound of their scores.
///
/// A page is known by the largest and the smallest number of its keys in each dimension, M and m, which bound every score of the page:
/// q · k ≤ Σ_t max(q_t M_t, q_t m_t). A query block of 64 rows keeps the pages with the largest bounds of any of its rows, as many as the
/// token budget has room for, its own pages among them.
/// Source: Quest (arXiv 2406.10774): pages of 16 tokens; 1,024 tokens are among the budgets of 512 to 4,096 that it is measured with on
/// LongBench. The original chooses for one decoded row at a time, each with pages of its own, after a dense prefill, and leaves the first
/// two layers dense; here the 64 rows of a prefill's query block share their pages, in every layer.
/// Complexity: 2 · queries · keys · d / `pageTokens` multiply-adds in FP32 a head.
public struct Quest: PatternMethod {
    /// One of `WindowKeyBlocks.blockLengths`, not above the 64 rows of a query block.
    public var pageTokens = 16
    /// Keys that a row sees, but for those after it on its own pages.
    public var tokenBudget = 1024
    public var budget: Budget

    public init(budget: Budget = .own) { self.budget = budget }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        precondition(WindowKeyBlocks.queryBlockRows % pageTokens == 0, "a query block holds whole pages")
        let bounds = call.pool.map(call.shape.keyValueHeads) { KeyBounds(call.inputs.key.head($0), blockTokens: pageTokens) }
        return call.patternOfEachHead { head in
            let query = call.inputs.query.head(head)
            let own = bounds[call.shape.keyValueHead(of: head)]
            let depth = budget == .own ? earlierPages : own.blocks
            let rankings = own.rankings(query, firstPosition: call.shape.firstPosition, depth: depth)
            return budget.pattern(shape: call.shape) { pattern(rankings, strength: $0, shape: call.shape) }
        }
    }

    /// Pages of the budget beside those of the query block itself.
    private var earlierPages: Int { max(0, (tokenBudget - WindowKeyBlocks.queryBlockRows) / pageTokens) }

    /// - Parameters:
    ///   - rankings: [query block], the best page first.
    ///   - strength: the share of the ranked pages that is kept; the token budget's number of them when nil.
    private func pattern(_ rankings: [[Int32]], strength: Double?, shape: AttentionShape) -> SparsePattern {
        let (rows, first) = (WindowKeyBlocks.queryBlockRows, shape.firstPosition / WindowKeyBlocks.queryBlockRows)
        let lists = rankings.enumerated().map { index, ranking -> [Int32] in
            let start = (first + index) * rows
            let own = Int32(start / pageTokens)..<Int32((min(start + rows, shape.keyCount) + pageTokens - 1) / pageTokens)
            let count = strength.map { Int(($0 * Double(ranking.count)).rounded()) } ?? earlierPages
            return ranking.prefix(count).sorted() + own
        }
        return .windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 0, blockTokens: pageTokens, firstQueryBlock: first, lists: lists))
    }
}

/// The largest and smallest number of each dimension in blocks of one head's keys.
struct KeyBounds: Sendable {
    let blocks: Int
    private let blockTokens: Int
    private let dimension: Int
    /// [block][2][dimension], the largest first.
    private let bounds: [Float]

    init(_ keys: HeadTensor, blockTokens: Int) {
        let d = keys.dimension
        let blocks = (keys.tokens + blockTokens - 1) / blockTokens
        (self.blocks, self.blockTokens, dimension) = (blocks, blockTokens, d)
        bounds = [Float](unsafeUninitializedCapacity: blocks * 2 * d) { bounds, count in
            for block in 0..<blocks {
                let high = bounds.baseAddress! + block * 2 * d
                let low = high + d
                high.initialize(repeating: -.infinity, count: d)
                low.initialize(repeating: .infinity, count: d)
                for token in block * blockTokens..<min(keys.tokens, (block + 1) * blockTokens) {
                    let key = keys.row(head: 0, token: token)
                    for t in 0..<d {
                        high[t] = key[t] > high[t] ? key[t] : high[t]
                        low[t] = key[t] < low[t] ? key[t] : low[t]
                    }
                }
            }
            count = blocks * 2 * d
        }
    }

    /// For each query block that has rows the blocks of keys before it, those with the largest bound of any of its rows first; at most
    /// `depth` of them. Blocks whose bound is no number are left out.
    ///
    /// - Parameter query: one head, whose first row stands at `firstPosition`.
    func rankings(_ query: HeadTensor, firstPosition: Int, depth: Int) -> [[Int32]] {
        let rows = WindowKeyBlocks.queryBlockRows
        let end = firstPosition + query.tokens
        let depth = min(depth, blocks)
        let halves = AlignedBuffer<Float>(count: rows * 2 * dimension)
        let products = AlignedBuffer<Float>(count: rows * blocks)
        let largest = AlignedBuffer<Float>(count: blocks)
        let heap = AlignedBuffer<UInt64>(count: depth)
        let ranked = AlignedBuffer<Int32>(count: depth)
        return (firstPosition / rows..<(end + rows - 1) / rows).map { queryBlock in
            let own = max(firstPosition, queryBlock * rows)..<min(end, (queryBlock + 1) * rows)
            let earlier = queryBlock * rows / blockTokens
            guard earlier > 0 else { return [] }
            split(query, tokens: own.lowerBound - firstPosition..<own.upperBound - firstPosition, into: halves.base)
            bounds.withUnsafeBufferPointer {
                MatrixProduct.multiply(
                    rows: own.count, columns: earlier, inner: 2 * dimension, a: halves.base, aStride: 2 * dimension, b: $0.baseAddress!,
                    bStride: 2 * dimension, transposedB: true, into: products.base, cStride: earlier)
            }
            Self.takeLargest(products.base, rows: own.count, columns: earlier, into: largest.base)
            var top = HeaviestBlocks(room: heap.base, capacity: depth)
            for block in 0..<earlier { top.offer(score: largest[block], block: block) }
            top.drain(into: ranked.base, filler: -1)
            return Array(ranked.elements.prefix { $0 >= 0 })
        }
    }

    /// Rows as [what is positive][what is negative], so that their product with the bounds is Σ max(q M, q m).
    private func split(_ query: HeadTensor, tokens: Range<Int>, into halves: UnsafeMutablePointer<Float>) {
        for (index, token) in tokens.enumerated() {
            let row = query.row(head: 0, token: token)
            let positive = halves + index * 2 * dimension
            for t in 0..<dimension {
                positive[t] = row[t] > 0 ? row[t] : 0
                positive[dimension + t] = row[t] > 0 ? 0 : row[t]
            }
        }
    }

    /// The largest number of each column; −∞ where there is none.
    private static func takeLargest(
        _ products: UnsafePointer<Float>, rows: Int, columns: Int, into largest: UnsafeMutablePointer<Float>
    ) {
        largest.update(repeating: -.infinity, count: columns)
        for row in 0..<rows {
            let own = products + row * columns
            for column in 0..<columns { largest[column] = own[column] > largest[column] ? own[column] : largest[column] }
        }
    }
}
