import AttentionCore
import CAttentionKernels

/// Memory that a kernel works in. Grows as needed.
///
/// One call at a time: calls that use a workspace while another does would write over each other's numbers, so the second one stops the
/// program with a sentence that says so, in release builds too. Calls that run at once have a workspace each.
/// Size in 32-bit elements: O(threads · (lanes · d + tile + keys) + gathered columns · d), the columns half of it in BF16,
/// where keys and values are packed once for all row blocks too: O(key-value heads · keys · d); never
/// keys × keys. Selection adds its own (see `SampledScores`), and so does the backward pass (`AttentionKernel.attentionGradient`).
public final class AttentionWorkspace: @unchecked Sendable {
    private(set) var scratch: AlignedBuffer<Float>
    private(set) var laneBounds: AlignedBuffer<UInt8>
    private(set) var gatheredKeys: AlignedBuffer<Float>
    private(set) var gatheredValues: AlignedBuffer<Float>
    private(set) var packedKeys: AlignedBuffer<Float>
    private(set) var packedValues: AlignedBuffer<Float>
    private(set) var strips: AlignedBuffer<Float>
    private(set) var gradients: AlignedBuffer<Float>
    private var layout = BlockScratch.Layout(dimension: 1, keys: 1)
    private let use = ExclusiveUse(of: "an AttentionWorkspace")

    public init() {
        scratch = AlignedBuffer(count: 0)
        laneBounds = AlignedBuffer(count: 0)
        gatheredKeys = AlignedBuffer(count: 0)
        gatheredValues = AlignedBuffer(count: 0)
        packedKeys = AlignedBuffer(count: 0)
        packedValues = AlignedBuffer(count: 0)
        strips = AlignedBuffer(count: 0)
        gradients = AlignedBuffer(count: 0)
    }

    /// Runs `body`, which works in this memory; stops the program when some other call does so at the time.
    package func exclusively<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        try use.during(body)
    }

    /// Makes room for a run of `plan` on `threads` workers. Keeps what is already large enough.
    func prepare(for plan: AttentionPlan, kernels: SATileKernelTable, threads: Int) {
        let dimension = plan.shape.headDimension
        prepareScratch(dimension: dimension, keys: plan.shape.keyCount, threads: threads)
        let keys = plan.gatheredColumns * kernels.steps(dimension)
        let values = kernels.steps(plan.gatheredColumns) * dimension
        if gatheredKeys.count < keys { gatheredKeys = AlignedBuffer(count: keys) }
        if gatheredValues.count < values { gatheredValues = AlignedBuffer(count: values) }
    }

    func prepare(_ packed: PackedKeyValues, kernels: SATileKernelTable, dimension: Int, hasValues: Bool) {
        let keys = packed.count * kernels.steps(dimension)
        let values = hasValues ? kernels.steps(packed.count) * dimension : 0
        if packedKeys.count < keys { packedKeys = AlignedBuffer(count: keys) }
        if packedValues.count < values { packedValues = AlignedBuffer(count: values) }
    }

    func prepareScratch(dimension: Int, keys: Int, threads: Int) {
        layout = BlockScratch.Layout(dimension: dimension, keys: keys)
        if scratch.count < layout.floats * threads { scratch = AlignedBuffer(count: layout.floats * threads) }
        if laneBounds.count < layout.bytes * threads { laneBounds = AlignedBuffer(count: layout.bytes * threads) }
    }

    func prepareStrips(count: Int) {
        if strips.count < count { strips = AlignedBuffer(count: count) }
    }

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory; what was there before is kept then.
    func prepareGradients(count: Int) throws(InputError) {
        guard gradients.count < count else { return }
        gradients = try AlignedBuffer(extents: count, of: "memory of a backward pass")
    }

    package func strip(_ layout: SampledStrip.Layout, worker: Int) -> SampledStrip {
        SampledStrip(layout: layout, base: strips.base + worker * layout.floats)
    }

    func blockScratch(worker: Int) -> BlockScratch {
        BlockScratch(layout: layout, floats: scratch.base + worker * layout.floats, bytes: laneBounds.base + worker * layout.bytes)
    }
}

/// One worker's slice of the workspace, cut into the arrays a row block needs. Elements are those of `CAttentionKernels.h`.
struct BlockScratch {
    struct Layout {
        let dimension: Int
        let keys: Int

        var floats: Int {
            let lanes = KernelTable.lanes
            let blocks = AttentionPlan.mostLaneBlocks
            let used = (2 * blocks + 1) * lanes * dimension + lanes * KernelTable.tileKeys + 2 * KernelTable.tileKeys * dimension
            return (used + (2 * blocks + 2) * lanes + 2 * KernelTable.tileKeys + keys + 15) / 16 * 16
        }
        var bytes: Int { 2 * KernelTable.tileKeys * AttentionPlan.mostLaneBlocks }
    }

    /// [lane block][step][lane], scaled queries.
    let queries: UnsafeMutablePointer<Float>
    /// [lane][dimension], rows gathered before packing.
    let rows: UnsafeMutablePointer<Float>
    /// [lane block][dimension][lane], the output accumulator.
    let output: UnsafeMutablePointer<Float>
    /// [step][lane], the probabilities of a tile.
    let probabilities: UnsafeMutablePointer<Float>
    /// A tile of keys [key][step] and values [step][dimension], packed.
    let tileKeys, tileValues: UnsafeMutablePointer<Float>
    /// [lane block][lane] each.
    let shift, sum: UnsafeMutablePointer<Float>
    /// [lane] each.
    let added, weights: UnsafeMutablePointer<Float>
    /// [row of tile] each: which rows a tile is brought together from, and the next one will be.
    let chosenRows, nextRows: UnsafeMutablePointer<Int32>
    /// [key], for single rows.
    let rowScores: UnsafeMutablePointer<Float>
    /// [key of tile] each: a key is kept by lanes `first ..< end`. Those of the first of several lane blocks.
    let firstLane, endLane: UnsafeMutablePointer<UInt8>

    /// The same of one of several lane blocks.
    func laneBounds(_ block: Int) -> (first: UnsafeMutablePointer<UInt8>, end: UnsafeMutablePointer<UInt8>) {
        let offset = 2 * KernelTable.tileKeys * block
        return (firstLane + offset, endLane + offset)
    }

    init(layout: Layout, floats: UnsafeMutablePointer<Float>, bytes: UnsafeMutablePointer<UInt8>) {
        let lanes = KernelTable.lanes
        var next = floats
        func take(_ count: Int) -> UnsafeMutablePointer<Float> {
            defer { next += count }
            return next
        }
        let blocks = AttentionPlan.mostLaneBlocks
        queries = take(blocks * lanes * layout.dimension)
        rows = take(lanes * layout.dimension)
        output = take(blocks * lanes * layout.dimension)
        probabilities = take(lanes * KernelTable.tileKeys)
        tileKeys = take(KernelTable.tileKeys * layout.dimension)
        tileValues = take(KernelTable.tileKeys * layout.dimension)
        shift = take(blocks * lanes)
        sum = take(blocks * lanes)
        added = take(lanes)
        weights = take(lanes)
        chosenRows = UnsafeMutableRawPointer(take(KernelTable.tileKeys)).bindMemory(to: Int32.self, capacity: KernelTable.tileKeys)
        nextRows = UnsafeMutableRawPointer(take(KernelTable.tileKeys)).bindMemory(to: Int32.self, capacity: KernelTable.tileKeys)
        rowScores = take(layout.keys)
        firstLane = bytes
        endLane = bytes + KernelTable.tileKeys
    }

    /// Ready for `rows` new rows: nothing seen yet. Lanes without a row hold queries of zeros and a settled shift.
    func reset(dimension: Int, rows: Int) {
        let lanes = (rows + KernelTable.lanes - 1) / KernelTable.lanes * KernelTable.lanes
        shift.update(repeating: -.infinity, count: rows)
        (shift + rows).update(repeating: 0, count: lanes - rows)
        sum.update(repeating: 0, count: lanes)
        output.update(repeating: 0, count: lanes * dimension)
    }
}
