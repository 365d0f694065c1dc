import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// HyperAttention: exact attention near the diagonal, and for everything left of it the heavy entries that a sorted hash finds, with
/// sampled keys that stand for the rest.
///
/// Causal attention over positions a ..< b is that over both halves, recursively down to `leastLength`, where it is exact; and of the
/// later half's queries over the earlier half's keys. That part sorts queries and keys by a hash of their direction, lets the i-th
/// block of queries see the i-th block of keys, and adds `samples` keys drawn uniformly, of which each counts as
/// keys / samples (those of the query's own block left out).
/// Source: HyperAttention (arXiv 2310.05869), algorithms 1 to 4: blocks and samples of 256, 7 projections, exact up to 4,096.
public struct HyperAttention: AttentionMethod {
    public var blockSize = 256
    public var samples = 256
    public var projections = 7
    public var leastLength = 4096
    public var seed: UInt64
    public var budget: Budget

    public init(seed: UInt64, budget: Budget = .own) {
        self.seed = seed
        self.budget = budget
    }

    /// Positions, and where the recursion halves them.
    package struct Split: Hashable, Sendable {
        package let keys, queries: Range<Int>

        package init(keys: Range<Int>, queries: Range<Int>) {
            self.keys = keys
            self.queries = queries
        }
    }

    /// Pairs in buckets are no pattern of a head.
    public var canCertify: Bool { false }

    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        precondition(certification == nil, "buckets cannot be certified")
        let method = fitted(to: call.promptLength)
        let (shape, inputs) = (call.shape, call.inputs)
        let start = ContinuousClock.now
        var (leaves, levels): ([Range<Int>], [[Split]]) = ([], [])
        method.divide(0..<shape.keyCount, firstQuery: shape.firstPosition, depth: 0, leaves: &leaves, levels: &levels)
        // A row meets its leaf, then one block and its samples of each level: groups of one pass have no row in common.
        let passes = levels.map { splits in
            call.pool.map(splits.count * shape.queryHeads) { index in
                method.groups(call, splits[index / shape.queryHeads], head: index % shape.queryHeads)
            }
        }
        let sorted = ContinuousClock.now
        let softmax = GatheredSoftmax(shape: shape, output: output)
        var pairs = [Int](repeating: 0, count: shape.queryHeads)
        for leaf in leaves {
            let kept = try softmax.attendDensely(leaf, call: call, workspace: workspace)
            for head in pairs.indices { pairs[head] += kept }
        }
        for groups in passes.flatMap({ [$0.flatMap(\.blocks), $0.flatMap(\.samples)] }) {
            call.kernel.accumulate(groups, query: inputs.query, key: inputs.key, value: inputs.value, into: softmax, workspace: workspace)
            for group in groups { pairs[group.head] += group.pairs(firstPosition: shape.firstPosition) }
        }
        softmax.finish()
        if let logSumExp { softmax.copyLogSumExp(to: logSumExp) }
        return AttentionReport(
            keptPairs: pairs, causalPairs: shape.causalPairs, selectionSeconds: (sorted - start).seconds,
            kernelSeconds: (ContinuousClock.now - sorted).seconds)
    }

    /// For a density ρ of a prompt of S tokens: leaves of S / 2ⁿ take at most ρ / 2; of n levels, in each of which half the rows see a
    /// block and as many samples, that leaves (ρ − 1 / 2ⁿ) · S / 2n for each.
    package func fitted(to length: Int) -> HyperAttention {
        guard case .density(let share) = budget else { return self }
        var own = self
        var levels = 1
        while 0x1p-1 * share.value < 1 / Double(1 << levels), length >> levels > 32 { levels += 1 }
        let leaf = 1 / Double(1 << levels)
        own.leastLength = max(1, (length + (1 << levels) - 1) >> levels)
        own.blockSize = max(1, Int((share.value - leaf) * Double(length) / Double(2 * levels)))
        own.samples = own.blockSize
        return own
    }

    /// Leaves that hold a query, and at each depth the parts left of the diagonal.
    package func divide(_ range: Range<Int>, firstQuery: Int, depth: Int, leaves: inout [Range<Int>], levels: inout [[Split]]) {
        guard range.upperBound > firstQuery else { return }
        if range.count <= leastLength { return leaves.append(range) }
        let middle = range.lowerBound + (range.count + 1) / 2
        if levels.count == depth { levels.append([]) }
        levels[depth].append(Split(keys: range.lowerBound..<middle, queries: max(middle, firstQuery)..<range.upperBound))
        divide(range.lowerBound..<middle, firstQuery: firstQuery, depth: depth + 1, leaves: &leaves, levels: &levels)
        divide(middle..<range.upperBound, firstQuery: firstQuery, depth: depth + 1, leaves: &leaves, levels: &levels)
    }

    /// One head's part left of the diagonal: what is sorted together, and what is sampled beside it.
    package func groups(_ call: LayerCall, _ split: Split, head: Int) -> (blocks: [GatheredGroup], samples: [GatheredGroup]) {
        var random = SeededGenerator.derived(seed: seed, call.layer, head, split.keys.lowerBound, split.queries.lowerBound)
        let hash = LocalitySensitiveHash(projections: projections, dimension: call.shape.headDimension, random: &random)
        let key = call.inputs.key.head(call.shape.keyValueHead(of: head))
        let query = call.inputs.query.head(head)
        let first = call.shape.firstPosition
        let keys = sorted(split.keys) { hash.hammingRank(key.row(head: 0, token: $0)) }
        let queries = sorted(split.queries) { hash.hammingRank(query.row(head: 0, token: $0 - first)) }
        let sampled =
            split.keys.count <= samples ? Array(split.keys) : (0..<samples).map { _ in Int.random(in: split.keys, using: &random) }
        let count = max(1, (keys.count + blockSize / 2) / blockSize)
        var (blocks, rest): ([GatheredGroup], [GatheredGroup]) = ([], [])
        for index in 0..<count {
            let own = Self.part(index, of: count, keys)
            let rows = Self.part(index, of: count, queries).map { Int32($0 - first) }.sorted()
            guard !rows.isEmpty else { continue }
            blocks.append(GatheredGroup(head: head, queries: rows, keys: own.map(Int32.init).sorted(), rule: .all))
            let inBlock = Set(own)
            let others = sampled.filter { !inBlock.contains($0) }.map(Int32.init).sorted()
            guard !others.isEmpty else { continue }
            // Every drawn key stands for keys / samples of them, those that fell into the block among the keys it stands for.
            let weight = Float(logarithm(Double(keys.count) / Double(sampled.count)))
            rest.append(GatheredGroup(head: head, queries: rows, keys: others, rule: .all, logWeight: weight))
        }
        return (blocks, rest)
    }

    private func sorted(_ positions: Range<Int>, by rank: (Int) -> Int) -> [Int] {
        positions.map { (rank: rank($0), position: $0) }.sorted { ($0.rank, $0.position) < ($1.rank, $1.position) }.map(\.position)
    }

    private static func part(_ index: Int, of count: Int, _ list: [Int]) -> ArraySlice<Int> {
        list[index * list.count / count..<(index + 1) * list.count / count]
    }
}

extension GatheredSoftmax {
    /// Exact causal attention of a range of positions among themselves, by the shared kernel.
    ///
    /// - Returns: computed pairs of a head.
    fileprivate func attendDensely(_ range: Range<Int>, call: LayerCall, workspace: AttentionWorkspace) throws(InputError) -> Int {
        let first = call.shape.firstPosition
        let rows = max(range.lowerBound, first)..<range.upperBound
        let inputs = call.inputs
        let shape = AttentionShape(
            queryHeads: call.shape.queryHeads, keyValueHeads: call.shape.keyValueHeads, queryCount: rows.count, keyCount: range.count,
            headDimension: call.shape.headDimension, scores: call.shape.scores.withoutSinks)
        let sums = AlignedBuffer<Float>(count: shape.queryHeads * rows.count)
        call.kernel.run(
            try AttentionPlan(shape: shape, patterns: Array(repeating: .dense, count: shape.queryHeads)),
            query: inputs.query.slice(tokens: rows.lowerBound - first..<rows.upperBound - first), key: inputs.key.slice(tokens: range),
            value: inputs.value.slice(tokens: range), output: output.slice(tokens: rows.lowerBound - first..<rows.upperBound - first),
            logSumExp: sums.base, workspace: workspace)
        adopt(rows: rows.lowerBound - first..<rows.upperBound - first, logSumExp: sums.base)
        return shape.causalPairs
    }
}
