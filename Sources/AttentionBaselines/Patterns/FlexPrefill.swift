import AttentionCore
import AttentionKernels
import SampleAttention

/// FlexPrefill: each head is either vertical-slash or query-aware, and keeps the fewest blocks whose estimated attention adds up
/// to γ.
///
/// The last 128 queries are the representatives. Their exact attention by key block, â, is compared with what means of queries and
/// of key blocks estimate, ā: where √JSD(ā‖â) < τ the means can be trusted, and block pairs are ranked by them (query-aware);
/// elsewhere columns and diagonals are ranked by the representatives' attention (vertical-slash).
/// The first block and a query's own are kept always, and at least `leastTokens` keys a row.
/// Source: FlexPrefill (arXiv 2502.20766): γ = 0.95, τ = 0.1, blocks of 128, at least 1,024 tokens.
public struct FlexPrefill: PatternMethod {
    public var gamma = try! Fraction(0.95)
    public var tau = 0.1
    public var leastTokens = 1024
    public var budget: Budget

    public init(budget: Budget = .own) { self.budget = budget }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let representatives = LastRowsEstimate(call, rows: BlockMask.blockSize, workspace: workspace)
        let pooledKeys = (0..<call.shape.keyValueHeads).map { BlockMeans(call.inputs.key.head($0), firstPosition: 0) }
        return call.patternOfEachHead { head in
            let keys = pooledKeys[call.shape.keyValueHead(of: head)]
            let queries = BlockMeans(call.inputs.query.head(head), firstPosition: call.shape.firstPosition)
            let exact = representatives.blocks[head]
            return isQueryAware(exact: exact.columns, estimated: queries.attention(of: queries.blocks.upperBound - 1, over: keys))
                ? queryAware(call, queries: queries, keys: keys) : verticalSlash(call, exact)
        }
    }

    /// The cumulative share that is asked for: γ, or what a budget's strength says; and the blocks a row keeps at least.
    private func demand(_ strength: Double?) -> (share: Double, least: Int) {
        strength.map { ($0, 1) } ?? (gamma.value, leastTokens / BlockMask.blockSize)
    }

    package func isQueryAware(exact: [Float], estimated: [Double]) -> Bool {
        let total = exact.reduce(0.0) { $0 + Double($1) }
        return jensenShannonDivergence(estimated, exact.map { Double($0) / total }).squareRoot() < tau
    }

    private func verticalSlash(_ call: LayerCall, _ exact: SampledScores.BlockMasses) -> SparsePattern {
        let columns = FewestToReach(exact.columns, keepingFirst: 1)
        let slashes = FewestToReach(exact.slashes, keepingFirst: 1)
        return budget.pattern(shape: call.shape) { strength in
            let (share, least) = demand(strength)
            func lines(_ masses: FewestToReach) -> [Int32] {
                let reaching = masses.positions(reaching: share * masses.total).positions
                return reaching.count >= least ? reaching : masses.positions(heaviest: least).positions
            }
            return .columnsSlashes(ColumnsSlashes(columns: lines(columns), slashes: lines(slashes)))
        }
    }

    /// All block pairs of the head in one ranking: each query block's estimate has a total of 1.
    private func queryAware(_ call: LayerCall, queries: BlockMeans, keys: BlockMeans) -> SparsePattern {
        let size = call.blocks
        var shares = [Float](repeating: 0, count: size * size)
        for queryBlock in queries.blocks {
            for (keyBlock, share) in queries.attention(of: queryBlock, over: keys).enumerated() {
                shares[queryBlock * size + keyBlock] = Float(share)
            }
        }
        let ranked = FewestToReach(shares)
        return budget.pattern(shape: call.shape) { strength in
            let (share, least) = demand(strength)
            var kept = Set(ranked.positions(reaching: share * ranked.total).positions)
            for row in queries.blocks {
                let own = shares[row * size..<(row + 1) * size]
                kept.insert(Int32(row * size))
                if least > 1 {
                    kept.formUnion(FewestToReach(Array(own)).positions(heaviest: least).positions.map { $0 + Int32(row * size) })
                }
            }
            return .blocks(BlockMask(blocks: size) { kept.contains(Int32($0 * size + $1)) })
        }
    }
}

/// The Jensen–Shannon divergence of two distributions, natural logarithm: from 0 to log 2.
package func jensenShannonDivergence(_ a: [Double], _ b: [Double]) -> Double {
    func divergence(_ p: [Double], _ m: [Double]) -> Double {
        zip(p, m).reduce(0) { $1.0 > 0 ? $0 + $1.0 * logarithm($1.0 / $1.1) : $0 }
    }
    let middle = zip(a, b).map { ($0 + $1) / 2 }
    return max(0, (divergence(a, middle) + divergence(b, middle)) / 2)
}
