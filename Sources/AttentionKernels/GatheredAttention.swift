import AttentionCore
import CAttentionKernels
import Parallelism

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Query rows of one head and the keys they see, wherever both stand: hash buckets, sorted blocks, samples.
public struct GatheredGroup: Sendable, Hashable {
    public enum Rule: Sendable, Hashable {
        /// Every row sees every key of the group, later ones too.
        case all
        /// A row at position p sees its own key and the group's keys before p.
        case upToOwnPosition
    }

    public let head: Int
    /// Query indices, ascending.
    public let queries: [Int32]
    /// Key positions, ascending.
    public let keys: [Int32]
    public let rule: Rule
    /// Added to every score of the group, the natural logarithm of how many keys each of them stands for.
    public let logWeight: Float

    public init(head: Int, queries: [Int32], keys: [Int32], rule: Rule, logWeight: Float = 0) {
        self.head = head
        self.queries = queries
        self.keys = keys
        self.rule = rule
        self.logWeight = logWeight
    }

    /// (query, key) pairs that are computed. O(queries + keys).
    public func pairs(firstPosition: Int) -> Int {
        guard rule == .upToOwnPosition else { return queries.count * keys.count }
        var (pairs, below) = (0, 0)
        for query in queries {
            while below < keys.count, Int(keys[below]) < firstPosition + Int(query) { below += 1 }
            pairs += below + 1
        }
        return pairs
    }
}

/// A softmax that is put together from groups of keys: `output_i = Σ_j w_j exp(s_ij) value_j / Σ_j w_j exp(s_ij)` over all keys that
/// row i has met in any group, w the groups' weights; `finish()` adds the heads' sinks to the sum below.
///
/// Shapes: output [queryHeads][queryCount][d]; sums [queryHeads][queryCount], natural logarithms, −∞ where nothing was met.
public final class GatheredSoftmax: @unchecked Sendable {
    public let output: MutableHeadTensor
    let shape: AttentionShape
    /// log Σ w exp(s).
    let weighted: AlignedBuffer<Float>
    /// log Σ exp(s): what the pairs themselves hold.
    let plain: AlignedBuffer<Float>

    /// Begins with nothing met; `output` is written as groups come.
    public init(shape: AttentionShape, output: MutableHeadTensor) {
        self.shape = shape
        self.output = output
        weighted = AlignedBuffer(count: shape.queryHeads * shape.queryCount)
        plain = AlignedBuffer(count: weighted.count)
        weighted.elements.update(repeating: -.infinity)
        plain.elements.update(repeating: -.infinity)
    }

    /// Takes rows as met that were attended to by `AttentionKernel.run` into `output`, with the sums that it gave: [queryHeads][rows].
    ///
    /// - Precondition: nothing was met by these rows before.
    public func adopt(rows: Range<Int>, logSumExp: UnsafePointer<Float>) {
        for head in 0..<shape.queryHeads {
            for (index, row) in rows.enumerated() {
                let place = head * shape.queryCount + row
                precondition(weighted.base[place] == -.infinity, "a row is adopted before it meets groups")
                weighted.base[place] = logSumExp[head * rows.count + index]
                plain.base[place] = weighted.base[place]
            }
        }
    }

    /// The natural logarithm of each row's Σ exp(s) over the pairs it met, whatever their weight.
    public func copyLogSumExp(to target: UnsafeMutablePointer<Float>) { target.update(from: plain.base, count: plain.count) }

    /// Adds a partial softmax of one row: its output and the logarithm of its sum.
    fileprivate func merge(head: Int, row: Int, partial: UnsafePointer<Float>, logSumExp: Float, logWeight: Float) {
        let index = head * shape.queryCount + row
        let target = output.row(head: head, token: row)
        let (before, added) = (weighted.base[index], logSumExp + logWeight)
        let total = Self.logAdd(before, added)
        // The output begins as whatever was in memory.
        let (old, new) = (before == -.infinity ? 0 : expf(before - total), expf(added - total))
        for t in 0..<shape.headDimension { target[t] = (old == 0 ? 0 : old * target[t]) + new * partial[t] }
        weighted.base[index] = total
        plain.base[index] = Self.logAdd(plain.base[index], logSumExp)
    }

    /// Gives the heads' sinks their shares, once everything is met.
    public func finish() {
        guard let sinks = shape.scores.sinks else { return }
        for head in 0..<shape.queryHeads {
            for row in 0..<shape.queryCount {
                let share = 1 / (1 + expf(sinks[head] - weighted.base[head * shape.queryCount + row]))
                let target = output.row(head: head, token: row)
                for t in 0..<shape.headDimension { target[t] *= share }
            }
        }
    }

    private static func logAdd(_ a: Float, _ b: Float) -> Float {
        // `max` would let go of what is not a number.
        guard !a.isNaN, !b.isNaN else { return .nan }
        let high = max(a, b)
        return high == -.infinity ? high : high + log1pf(expf(min(a, b) - high))
    }
}

extension AttentionKernel {
    /// Adds groups to a softmax; for rows and keys that no `SparsePattern` describes. Same microkernels, precision and scale as `run`.
    ///
    /// - Parameter groups: of one call, no two have a row in common.
    ///
    /// Complexity: 4 · pairs · d operations, and a copy of each group's keys and values for every few lane blocks of its rows.
    public func accumulate(
        _ groups: [GatheredGroup], query: HeadTensor, key: HeadTensor, value: HeadTensor, into softmax: GatheredSoftmax,
        workspace: AttentionWorkspace
    ) {
        let shape = softmax.shape
        let rows = AttentionPlan.mostLaneBlocks * KernelTable.lanes
        let tasks = groups.indices.flatMap { group in
            stride(from: 0, to: groups[group].queries.count, by: rows).map { (group: group, first: $0) }
        }.sorted { groups[$0.group].keys.count > groups[$1.group].keys.count }
        workspace.exclusively {
            workspace.prepareScratch(dimension: shape.headDimension, keys: shape.keyCount, threads: pool.threads)
            pool.run(tasks.count) { worker, index in
                let (group, first) = tasks[index]
                let queries = groups[group].queries
                GatheredRun(
                    kernel: self, group: groups[group], rows: queries[first..<min(first + rows, queries.count)], shape: shape,
                    query: query.head(groups[group].head), key: key.head(shape.keyValueHead(of: groups[group].head)),
                    value: value.head(shape.keyValueHead(of: groups[group].head)), scratch: workspace.blockScratch(worker: worker)
                ).execute(into: softmax)
            }
        }
    }
}

/// Up to `mostLaneBlocks` lane blocks of one group's rows.
private struct GatheredRun {
    let kernel: AttentionKernel
    let group: GatheredGroup
    let rows: ArraySlice<Int32>
    let shape: AttentionShape
    /// One head each.
    let query, key, value: HeadTensor
    let scratch: BlockScratch

    private var lanes: Int { KernelTable.lanes }
    private var dimension: Int { shape.headDimension }
    /// Row `index` of all rows of this run.
    private func query(_ index: Int) -> Int { Int(rows[rows.startIndex + index]) }
    private func position(_ index: Int) -> Int { shape.firstPosition + query(index) }

    /// A lane block, as indices into the run's rows.
    private var blocks: [Range<Int>] {
        stride(from: 0, to: rows.count, by: lanes).map { $0..<min($0 + lanes, rows.count) }
    }

    func execute(into softmax: GatheredSoftmax) {
        scratch.reset(dimension: dimension, rows: rows.count)
        for block in blocks { pack(block) }
        if group.rule == .upToOwnPosition { for block in blocks { attendOwnKeys(block) } }
        for start in stride(from: 0, to: group.keys.count, by: KernelTable.tileKeys) {
            let keys = group.keys[start..<min(start + KernelTable.tileKeys, group.keys.count)]
            if group.rule == .upToOwnPosition, Int(keys.first!) >= position(rows.count - 1) { break }
            var tile = packed(keys)
            for block in blocks { attend(&tile, keys: keys, block: block) }
        }
        for block in blocks { finish(block, into: softmax) }
    }

    private func pack(_ block: Range<Int>) {
        for (lane, index) in block.enumerated() {
            (scratch.rows + lane * dimension).update(from: query.row(head: 0, token: query(index)), count: dimension)
        }
        kernel.tiles.pack_queries(
            scratch.rows, dimension, Int32(block.count), Int32(dimension), AttentionKernel.scoreScale(dimension),
            scratch.queries + block.lowerBound * dimension)
    }

    private func packed(_ keys: ArraySlice<Int32>) -> SATile {
        keys.withUnsafeBufferPointer { index in
            let count = Int32(index.count)
            kernel.tiles.pack_keys(
                key.row(head: 0, token: 0), key.tokenStride, index.baseAddress, count, Int32(dimension), scratch.tileKeys)
            kernel.tiles.pack_values(
                value.row(head: 0, token: 0), value.tokenStride, index.baseAddress, count, Int32(dimension), scratch.tileValues)
        }
        return SATile(
            keys: scratch.tileKeys, stride: kernel.tiles.steps(dimension), values: scratch.tileValues, valueStride: dimension,
            count: keys.count, cap: AttentionKernel.scoreCap(shape.scores))
    }

    private func attendOwnKeys(_ block: Range<Int>) {
        let own = block.map { Int32(position($0)) }
        var tile = packed(own[...])
        for lane in own.indices {
            scratch.firstLane[lane] = UInt8(lane)
            scratch.endLane[lane] = UInt8(lane + 1)
        }
        run(&tile, block: block, isMasked: true)
    }

    private func attend(_ tile: inout SATile, keys: ArraySlice<Int32>, block: Range<Int>) {
        let isMasked = group.rule == .upToOwnPosition && Int(keys.last!) >= position(block.lowerBound)
        if isMasked {
            guard Int(keys.first!) < position(block.upperBound - 1) else { return }
            var lane = 0
            for (index, key) in keys.enumerated() {
                while lane < block.count, position(block.lowerBound + lane) <= Int(key) { lane += 1 }
                scratch.firstLane[index] = UInt8(lane < block.count ? lane : lanes)
                scratch.endLane[index] = UInt8(lanes)
            }
        }
        run(&tile, block: block, isMasked: isMasked)
    }

    private func run(_ tile: inout SATile, block: Range<Int>, isMasked: Bool) {
        var state = SALaneBlock(
            queries: scratch.queries + block.lowerBound * dimension, output: scratch.output + block.lowerBound * dimension,
            shift: scratch.shift + block.lowerBound, sum: scratch.sum + block.lowerBound, first: isMasked ? scratch.firstLane : nil,
            end: isMasked ? scratch.endLane : nil)
        kernel.tiles.attend(&tile, &state, 1, Int32(dimension), scratch.probabilities)
    }

    private func finish(_ block: Range<Int>, into softmax: GatheredSoftmax) {
        let first = block.lowerBound
        kernel.functions.finish_output(
            scratch.output + first * dimension, scratch.sum + first, Int32(block.count), Int32(dimension), scratch.rows, dimension, 0)
        // A sum that is not a number is merged too: whoever reads the output has to know.
        for (lane, index) in block.enumerated() where scratch.sum[index] != 0 {
            softmax.merge(
                head: group.head, row: query(index), partial: scratch.rows + lane * dimension,
                logSumExp: RowBlockRun.naturalLog(scratch.shift[index], scratch.sum[index]), logWeight: group.logWeight)
        }
    }
}
