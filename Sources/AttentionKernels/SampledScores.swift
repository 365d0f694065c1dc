import AttentionCore
import CAttentionKernels
import Parallelism

/// Exact softmax of chosen query rows over all their causal keys: stage 1 of SampleAttention, and the measuring
/// instrument of profiles. Each score is computed once; what outlives a block of `lanesPerBlock` rows is its sums.
///
/// Memory: a strip of `lanesPerBlock` × keys probabilities for each thread (2 bytes each in BF16, 4 in FP32), and the sums.
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

        /// A key counts in rows this far after it.
        var lag: Int {
            switch self {
            case .all: 0
            case .outsideWindow(let window): window
            }
        }
    }

    /// Rows of one block of `probabilities`.
    public static var lanesPerBlock: Int { KernelTable.lanes }

    /// Keys of a full tile, which is also a block of a `BlockMask`.
    package static var keysPerTile: Int { KernelTable.tileKeys }

    /// The mass each key receives from sampled rows: `mass_j = Σ_{i ∈ rows} P_ij`, P = softmax over all causal keys; of many
    /// heads at once, in parallel: the result for entry e is `results[e]`. The total over all keys, window included, is
    /// `rows.count`. The same whatever the number of threads.
    ///
    /// Shapes: query [queryHeads][queryCount][d], key [keyValueHeads][keyCount][d]; `rows` are query indices, ascending. Each
    /// result is [keyCount].
    /// Complexity: 2 · rows · keys · d operations a head.
    public func columnMasses(
        query: HeadTensor, key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: [Int], rule: MassRule)],
        workspace: AttentionWorkspace
    ) -> [[Float]] {
        let keys = shape.keyCount
        return sums(
            query: query, key: key, shape: shape, requests: requests.map { ($0.head, $0.rows) }, width: keys, workspace: workspace
        ) { block, index, strip, sums in
            block.scoreAll(into: strip)
            block.addColumnMass(strip: strip, lag: requests[index].rule.lag, into: sums)
        }
    }

    /// The mass that 128-token blocks of keys, and diagonals of such blocks, receive from sampled rows.
    public struct BlockMasses: Sendable, Hashable {
        /// [key block]: Σ over sampled rows i and keys j of the block of P_ij.
        public let columns: [Float]
        /// [offset o]: the same over the pairs with ⌊i / 128⌋ − ⌊j / 128⌋ = o, i counted in positions.
        public let slashes: [Float]
    }

    /// Sums of sampled rows' probabilities by key block and by block diagonal, from one pass over the scores.
    ///
    /// Shapes: as `columnMasses`. Complexity: 2 · rows · keys · d operations a head.
    /// Source: SampleAttention (MLSys 2025), column and slash reduction of the sampled rows.
    public func blockMasses(
        query: HeadTensor, key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: [Int])], workspace: AttentionWorkspace
    ) -> [BlockMasses] {
        precondition(KernelTable.tileKeys == BlockMask.blockSize, "a tile's sums are a block's")
        let blocks = BlockMask.blockCount(tokens: shape.keyCount)
        return sums(query: query, key: key, shape: shape, requests: requests, width: 2 * blocks, workspace: workspace) {
            block, _, strip, sums in
            block.scoreAll(into: strip)
            block.addBlockMass(strip: strip, columns: sums, slashes: sums + blocks)
        }.map { BlockMasses(columns: Array($0[..<blocks]), slashes: Array($0[blocks...])) }
    }

    /// The retained mass of sampled rows under patterns, r_i = Σ_{j kept} P_ij over all causal keys: for request e, `results[e]` has
    /// one number a row. The certificate's instrument; in the kernel's precision.
    ///
    /// Shapes: as `columnMasses`; `rows` may name a row more than once. Complexity: 2 · rows · keys · d operations a head.
    public func retainedMasses(
        query: HeadTensor, key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: [Int], pattern: SparsePattern)],
        workspace: AttentionWorkspace
    ) -> [[Double]] {
        let lanes = KernelTable.lanes
        let parts = requests.map(\.pattern.parts)
        let offsets = requests.reduce(into: [0]) { $0.append($0.last! + $1.rows.count) }
        let tasks = requests.indices.flatMap { request in
            stride(from: 0, to: requests[request].rows.count, by: lanes).map { (request: request, start: $0) }
        }
        let masses = AlignedBuffer<Double>(count: offsets.last!)
        let target = SharedPointer(masses.base)
        workspace.exclusively {
            let layout = prepareStrips(workspace, shape: shape, precision: kernel.precision)
            let packed = packKeys(key, shape: shape, requests: requests.map { ($0.head, $0.rows.count) }, workspace: workspace)
            kernel.pool.run(tasks.count) { worker, task in
                let (request, start) = tasks[task]
                let (head, rows, _) = requests[request]
                let block = self.block(
                    query: query.head(head), key: key.head(shape.keyValueHead(of: head)),
                    packedKeys: packedKeys(packed, of: head, shape: shape, workspace: workspace),
                    rows: rows[start..<min(start + lanes, rows.count)],
                    rule: shape.scores, precision: kernel.precision, worker: worker, workspace: workspace)
                let strip = workspace.strip(layout, worker: worker)
                block.scoreAll(into: strip)
                let retained = block.retainedMass(strip: strip, parts: parts[request], keyCount: shape.keyCount)
                for (lane, mass) in retained.enumerated() { target.base[offsets[request] + start + lane] = mass }
            }
        }
        return requests.indices.map { Array(masses.elements[offsets[$0]..<offsets[$0 + 1]]) }
    }

    /// Room for a strip on every worker of the kernel's pool, for a caller that has the workspace exclusively.
    package func prepareStrips(_ workspace: AttentionWorkspace, shape: AttentionShape, precision: Precision) -> SampledStrip.Layout {
        let layout = SampledStrip.Layout(keys: shape.keyCount, kernels: kernel.table.tiles(precision))
        workspace.prepareScratch(dimension: shape.headDimension, keys: shape.keyCount, threads: kernel.pool.threads)
        workspace.prepareStrips(count: layout.floats * kernel.pool.threads)
        return layout
    }

    /// Keys in the form the tiles want, once for all blocks of sampled rows of a head; nil where they are read in place or too few.
    private func packKeys(
        _ key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: Int)], workspace: AttentionWorkspace
    ) -> PackedKeyValues? {
        guard kernel.precision != .fp32, let packed = PackedKeyValues(sampledRows: requests, shape: shape) else { return nil }
        workspace.prepare(packed, kernels: kernel.tiles, dimension: shape.headDimension, hasValues: false)
        packed.fill(workspace, key: key, value: nil, kernels: kernel.tiles, pool: kernel.pool)
        return packed
    }

    /// Those of a query head.
    private func packedKeys(
        _ packed: PackedKeyValues?, of head: Int, shape: AttentionShape, workspace: AttentionWorkspace
    ) -> UnsafePointer<Float>? {
        guard let offset = packed?.offset(of: 0, keyValueHead: shape.keyValueHead(of: head)) else { return nil }
        return UnsafePointer(workspace.packedKeys.base + offset * kernel.tiles.steps(shape.headDimension))
    }

    /// Runs `body` on every block of sampled rows, and adds up what it leaves in its `width` sums.
    ///
    /// A request's blocks are dealt to at most `slots` tasks, each with sums of its own that are added in order: long heads
    /// leave no thread idle, and the result does not depend on which thread did what.
    private func sums(
        query: HeadTensor, key: HeadTensor, shape: AttentionShape, requests: [(head: Int, rows: [Int])], width: Int,
        workspace: AttentionWorkspace,
        body: @Sendable (_ block: SampledBlock, _ request: Int, _ strip: SampledStrip, _ sums: UnsafeMutablePointer<Float>) -> Void
    ) -> [[Float]] {
        if requests.isEmpty { return [] }
        let slots = 4
        let lanes = KernelTable.lanes
        let pool = kernel.pool
        let all = AlignedBuffer<Float>(count: requests.count * slots * width)
        let base = SharedPointer(all.base)
        workspace.exclusively {
            let layout = prepareStrips(workspace, shape: shape, precision: kernel.precision)
            let packed = packKeys(key, shape: shape, requests: requests.map { ($0.head, $0.rows.count) }, workspace: workspace)
            pool.run(requests.count * slots) { worker, task in
                let (index, slot) = task.quotientAndRemainder(dividingBy: slots)
                let (head, rows) = requests[index]
                let strip = workspace.strip(layout, worker: worker)
                for start in stride(from: slot * lanes, to: rows.count, by: slots * lanes) {
                    let block = self.block(
                        query: query.head(head), key: key.head(shape.keyValueHead(of: head)),
                        packedKeys: packedKeys(packed, of: head, shape: shape, workspace: workspace),
                        rows: rows[start..<min(start + lanes, rows.count)],
                        rule: shape.scores, precision: kernel.precision, worker: worker, workspace: workspace)
                    body(block, index, strip, base.base + task * width)
                }
            }
        }
        return requests.indices.map { index in
            [Float](unsafeUninitializedCapacity: width) { result, count in
                result.initialize(repeating: 0)
                for slot in 0..<slots {
                    let own = all.base + (index * slots + slot) * width
                    for i in 0..<width { result[i] += own[i] }
                }
                count = width
            }
        }
    }

    /// Up to `lanesPerBlock` rows of one head, ready to be scored in a worker's scratch; after `prepareStrips`.
    package func block(
        query: HeadTensor, key: HeadTensor, packedKeys: UnsafePointer<Float>? = nil, rows: ArraySlice<Int>, rule: ScoreRule,
        precision: Precision, worker: Int,
        workspace: AttentionWorkspace
    ) -> SampledBlock {
        SampledBlock(
            kernel: kernel, query: query, key: key, packedKeys: packedKeys, rows: rows, rule: rule, precision: precision,
            scratch: workspace.blockScratch(worker: worker))
    }
}
