import AttentionCore

/// Memory that `AttentionKernel.run` works in. Grows on `prepare`; one run at a time.
///
/// Size: O(threads · (lanes · dimension + tile + keys) + gathered columns · dimension) floats; never keys × keys.
public final class AttentionWorkspace: @unchecked Sendable {
    private(set) var scratch: AlignedBuffer<Float>
    private(set) var laneBounds: AlignedBuffer<UInt8>
    private(set) var gatheredKeys: AlignedBuffer<Float>
    private(set) var gatheredValues: AlignedBuffer<Float>
    private var layout = BlockScratch.Layout(dimension: 1, keys: 1)

    public init() {
        scratch = AlignedBuffer(count: 0)
        laneBounds = AlignedBuffer(count: 0)
        gatheredKeys = AlignedBuffer(count: 0)
        gatheredValues = AlignedBuffer(count: 0)
    }

    /// Makes room for a run of `plan` on `threads` workers. Keeps what is already large enough.
    func prepare(for plan: AttentionPlan, threads: Int) {
        prepareScratch(dimension: plan.shape.headDimension, keys: plan.shape.keyCount, threads: threads)
        let floats = plan.columnOffsets.last! * plan.shape.headDimension
        if gatheredKeys.count < floats {
            gatheredKeys = AlignedBuffer(count: floats)
            gatheredValues = AlignedBuffer(count: floats)
        }
    }

    func prepareScratch(dimension: Int, keys: Int, threads: Int) {
        layout = BlockScratch.Layout(dimension: dimension, keys: keys)
        if scratch.count < layout.floats * threads { scratch = AlignedBuffer(count: layout.floats * threads) }
        if laneBounds.count < layout.bytes * threads { laneBounds = AlignedBuffer(count: layout.bytes * threads) }
    }

    func blockScratch(worker: Int) -> BlockScratch {
        BlockScratch(layout: layout, floats: scratch.base + worker * layout.floats, bytes: laneBounds.base + worker * layout.bytes)
    }
}

/// One worker's slice of the workspace, cut into the arrays a row block needs.
struct BlockScratch {
    struct Layout {
        let dimension: Int
        let keys: Int
        var floats: Int {
            let lanes = KernelTable.lanes
            let blocks = AttentionPlan.mostLaneBlocks
            let used = (2 * blocks + 1) * lanes * dimension + lanes * KernelTable.tileKeys + (2 * blocks + 1) * lanes + keys
            return (used + 15) / 16 * 16
        }
        var bytes: Int { 2 * KernelTable.tileKeys }
    }

    /// [lane block][dimension][lane], scaled queries.
    let queries: UnsafeMutablePointer<Float>
    /// [lane][dimension], rows gathered before packing.
    let rows: UnsafeMutablePointer<Float>
    /// [lane block][dimension][lane], the output accumulator.
    let output: UnsafeMutablePointer<Float>
    /// [key of tile][lane].
    let scores: UnsafeMutablePointer<Float>
    /// [lane block][lane] each, `rescale` [lane].
    let maximum, sum, rescale: UnsafeMutablePointer<Float>
    /// [key], for single rows.
    let rowScores: UnsafeMutablePointer<Float>
    /// [key of tile] each: a key is kept by lanes `first ..< end`.
    let firstLane, endLane: UnsafeMutablePointer<UInt8>

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
        scores = take(lanes * KernelTable.tileKeys)
        maximum = take(blocks * lanes)
        sum = take(blocks * lanes)
        rescale = take(lanes)
        rowScores = take(layout.keys)
        firstLane = bytes
        endLane = bytes + KernelTable.tileKeys
    }

    /// Ready for new rows: nothing seen yet.
    func reset(dimension: Int, laneBlocks: Int = 1) {
        maximum.update(repeating: -.infinity, count: laneBlocks * KernelTable.lanes)
        sum.update(repeating: 0, count: laneBlocks * KernelTable.lanes)
        output.update(repeating: 0, count: laneBlocks * KernelTable.lanes * dimension)
    }
}
