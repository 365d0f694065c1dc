import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Exact softmax of chosen query rows over all their causal keys: stage 1 of SampleAttention, and the measuring
/// instrument of profiles. Never stores more than a tile (column mass) or one row block (probability rows).
///
/// Source: SampleAttention (arXiv 2406.15486), query-guided attention sampling.
public struct SampledScores: Sendable {
    let kernel: AttentionKernel

    public init(kernel: AttentionKernel) { self.kernel = kernel }

    /// How the mass of a column is counted.
    public enum MassRule: Hashable, Sendable {
        /// All of it (the paper's rule).
        case all
        /// Only from rows that do not already see the column in their window of this many positions.
        case outsideWindow(Int)
    }

    /// The mass each key receives from the sampled rows: `mass_j = Σ_{i ∈ rows} P_ij`, P = softmax over all causal keys.
    /// The total over all keys, window included, is `rows.count`.
    ///
    /// Shapes: query and key hold one head each; `rows` are query indices, ascending. Returns [keyCount] floats.
    /// Complexity: 4 · rows · keys · d operations (scores twice), O(keyCount) memory. Runs on the calling thread with
    /// `worker`'s scratch; the workspace must have been prepared with `prepare`.
    func columnMass(
        query: HeadTensor, key: HeadTensor, rows: ArraySlice<Int>, rule: MassRule, into mass: UnsafeMutablePointer<Float>,
        scratch: BlockScratch
    ) {
        let lanes = KernelTable.lanes
        for start in stride(from: rows.startIndex, to: rows.endIndex, by: lanes) {
            let block = SampledBlock(
                kernels: kernel.functions, query: query, key: key, rows: rows[start..<min(start + lanes, rows.endIndex)],
                scratch: scratch)
            block.pack()
            block.logSums()
            block.addColumnMass(rule: rule, into: mass)
        }
    }

    /// Column masses of many heads at once, in parallel: the result for entry e is `results[e]`.
    ///
    /// Shapes: query [queryHeads][queryCount][d], key [keyValueHeads][keyCount][d].
    public func columnMasses(
        query: HeadTensor, key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: [Int], rule: MassRule)],
        workspace: AttentionWorkspace
    ) -> [[Float]] {
        workspace.prepareScratch(dimension: shape.headDimension, keys: shape.keyCount, threads: kernel.pool.threads)
        let masses = AlignedBuffer<Float>(count: requests.count * shape.keyCount)
        let base = SendablePointer(masses.base)
        kernel.pool.run(requests.count) { worker, index in
            let request = requests[index]
            columnMass(
                query: query.head(request.head), key: key.head(shape.keyValueHead(of: request.head)), rows: request.rows[...],
                rule: request.rule, into: base.pointer! + index * shape.keyCount, scratch: workspace.blockScratch(worker: worker))
        }
        return requests.indices.map { Array(masses.elements[$0 * shape.keyCount..<($0 + 1) * shape.keyCount]) }
    }

    /// Probabilities of up to `lanesPerBlock` rows over all their causal keys, for measurements.
    ///
    /// Shapes: `into` [keys][lanesPerBlock], where keys = the last row's position + 1; keys after a row's position are 0.
    public func probabilities(
        query: HeadTensor, key: HeadTensor, rows: ArraySlice<Int>, into probabilities: UnsafeMutablePointer<Float>,
        worker: Int, workspace: AttentionWorkspace
    ) {
        let block = SampledBlock(
            kernels: kernel.functions, query: query, key: key, rows: rows, scratch: workspace.blockScratch(worker: worker))
        block.pack()
        block.storeProbabilities(into: probabilities)
    }

    /// Rows of one block of `probabilities`.
    public static var lanesPerBlock: Int { KernelTable.lanes }

    /// Makes room for `probabilities` on every worker of the kernel's pool.
    public func prepare(_ workspace: AttentionWorkspace, dimension: Int, keys: Int) {
        workspace.prepareScratch(dimension: dimension, keys: keys, threads: kernel.pool.threads)
    }
}

/// Up to one lane block of sampled rows of one head.
private struct SampledBlock {
    let kernels: SAKernelTable
    let query, key: HeadTensor
    let rows: ArraySlice<Int>
    let scratch: BlockScratch

    private var dimension: Int { query.dimension }
    /// Position of lane 0's row; queries are the last positions of the keys.
    private func position(_ lane: Int) -> Int { key.tokens - query.tokens + rows[rows.startIndex + lane] }
    private var keyEnd: Int { position(rows.count - 1) + 1 }

    func pack() {
        for (lane, row) in rows.enumerated() {
            (scratch.rows + lane * dimension).update(from: query.row(head: 0, token: row), count: dimension)
        }
        kernels.pack_queries(
            scratch.rows, dimension, Int32(rows.count), Int32(dimension), AttentionKernel.scoreScale(dimension), scratch.queries)
    }

    /// The first lane whose position is at least `position`; positions ascend with lanes.
    private func firstLane(atLeast position: Int) -> Int {
        var lane = 0
        while lane < rows.count && self.position(lane) < position { lane += 1 }
        return lane < rows.count ? lane : KernelTable.lanes
    }

    /// Fills the lane bounds of a tile; false when every key is kept by every lane.
    private func bound(_ tile: Range<Int>, lag: Int) -> Bool {
        guard tile.upperBound - 1 + lag > position(0) else { return false }
        for index in 0..<tile.count {
            scratch.firstLane[index] = UInt8(firstLane(atLeast: tile.lowerBound + index + lag))
            scratch.endLane[index] = UInt8(rows.count)
        }
        return true
    }

    private func forEachTile(to end: Int, _ body: (Range<Int>) -> Void) {
        for start in stride(from: 0, to: end, by: KernelTable.tileKeys) { body(start..<min(start + KernelTable.tileKeys, end)) }
    }

    private func computeScores(_ tile: Range<Int>, into scores: UnsafeMutablePointer<Float>) {
        kernels.scores(
            scratch.queries, Int32(dimension), key.row(head: 0, token: tile.lowerBound), key.tokenStride, Int32(tile.count), scores)
    }

    /// Leaves log2 Σ 2^score of each lane in `scratch.maximum`.
    func logSums() {
        scratch.reset(dimension: 0)
        forEachTile(to: keyEnd) { tile in
            let masked = bound(tile, lag: 0)
            computeScores(tile, into: scratch.scores)
            kernels.softmax_tile(
                scratch.scores, Int32(tile.count), masked ? scratch.firstLane : nil, masked ? scratch.endLane : nil, scratch.maximum,
                scratch.sum, scratch.rescale)
        }
        finishLogSums()
    }

    private func finishLogSums() {
        for lane in 0..<KernelTable.lanes {
            // Lanes without a row must add nothing: 2^(score − ∞) = 0.
            scratch.maximum[lane] = lane < rows.count ? scratch.maximum[lane] + log2f(scratch.sum[lane]) : .infinity
        }
    }

    func addColumnMass(rule: SampledScores.MassRule, into mass: UnsafeMutablePointer<Float>) {
        let lag =
            switch rule {
            case .all: 0
            case .outsideWindow(let window): window
            }
        forEachTile(to: max(0, keyEnd - lag)) { tile in
            let masked = bound(tile, lag: lag)
            computeScores(tile, into: scratch.scores)
            kernels.probabilities(
                scratch.scores, Int32(tile.count), masked ? scratch.firstLane : nil, masked ? scratch.endLane : nil, scratch.maximum)
            kernels.sum_lanes(scratch.scores, Int32(tile.count), mass + tile.lowerBound)
        }
    }

    func storeProbabilities(into probabilities: UnsafeMutablePointer<Float>) {
        let lanes = KernelTable.lanes
        logSums()
        forEachTile(to: keyEnd) { tile in
            let masked = bound(tile, lag: 0)
            let target = probabilities + tile.lowerBound * lanes
            computeScores(tile, into: target)
            kernels.probabilities(
                target, Int32(tile.count), masked ? scratch.firstLane : nil, masked ? scratch.endLane : nil, scratch.maximum)
        }
    }
}
