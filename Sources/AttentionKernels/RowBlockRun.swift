import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One row block of a plan, from packed queries to finished output. `RowBlockTiles` says which keys it goes over, and in which tiles.
struct RowBlockRun {
    let kernel: AttentionKernel
    let plan: AttentionPlan
    let block: AttentionPlan.RowBlock
    let query, key, value: HeadTensor
    let workspace: AttentionWorkspace
    let scratch: BlockScratch
    /// Nil where keys and values are read in place or packed tile by tile.
    let packed: PackedKeyValues?
    /// The row block that the thread is likely to work on afterwards.
    let nextBlock: AttentionPlan.RowBlock
    /// Outputs are written past the caches.
    let streamsOutput: Bool

    var dimension: Int { plan.shape.headDimension }
    var firstPosition: Int { plan.shape.firstPosition + block.firstRow }
    var keyValueHead: Int { plan.shape.keyValueHead(of: block.head) }
    var parts: PatternParts { plan.parts[block.head] }
    var sink: Float? { AttentionKernel.sink(plan.shape.scores, head: block.head) }

    func execute(output: UnsafeMutablePointer<Float>, outputStride: Int, logSumExp: UnsafeMutablePointer<Float>?) {
        if block.isDoneByRows {
            for row in 0..<block.rows { executeRow(row, output: output + row * outputStride, logSumExp: logSumExp.map { $0 + row }) }
            return
        }
        let tiles = RowBlockTiles(block, parts: parts, shape: plan.shape, alignment: packed == nil ? 1 : kernel.tiles.valueKeys)
        let lanes = laneBlocks(tiles)
        scratch.reset(dimension: dimension, rows: block.rows)
        tiles.forEachStrip { strip in
            switch strip.kind {
            case .own: attendOwnKeys(strip, lanes, reach: tiles.seesOwnKeys ? KernelTable.lanes : min(tiles.window, KernelTable.lanes))
            case .window: attendWindow(strip, lanes, of: tiles)
            case .columns: attendColumns(strip, lanes, of: tiles)
            case .keyBlocks: attendKeyBlocks(strip, lanes, window: tiles.window)
            case .chosenBlocks: attendChosenBlocks(strip, lanes, of: tiles)
            }
        }
        for lane in lanes {
            if let logSumExp {
                for row in 0..<lane.rows { logSumExp[lane.firstRow + row] = Self.naturalLog(lane.shift[row], lane.sum[row]) }
            }
            if let sink { for row in 0..<lane.rows { lane.sum[row] += exp2f(sink - lane.shift[row]) } }
            kernel.functions.finish_output(
                lane.output, lane.sum, Int32(lane.rows), Int32(dimension), output + lane.firstRow * outputStride, outputStride,
                streamsOutput ? 1 : 0)
        }
    }

    /// One lane block of the rows, and its part of the scratch.
    struct LaneBlock {
        /// Counted from the row block's first row.
        let firstRow: Int
        let rows: Int
        let firstPosition: Int
        let queries, output, shift, sum: UnsafeMutablePointer<Float>
    }

    private func laneBlocks(_ tiles: RowBlockTiles) -> [LaneBlock] {
        tiles.lanes.map { positions in
            let row = positions.lowerBound - firstPosition
            return LaneBlock(
                firstRow: row, rows: positions.count, firstPosition: positions.lowerBound, queries: scratch.queries + row * dimension,
                output: scratch.output + row * dimension, shift: scratch.shift + row, sum: scratch.sum + row)
        }
    }

    private func queryRow(_ lane: LaneBlock) -> UnsafePointer<Float> {
        query.row(head: block.head, token: block.firstRow + lane.firstRow)
    }

    static func naturalLog(_ shift: Float, _ sum: Float) -> Float { (shift + log2f(sum)) * 0.6931471805599453 }

    // MARK: Kinds of keys

    /// Key t of the block's own is kept by rows at positions t ..< t + reach.
    private func attendOwnKeys(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], reach: Int) {
        let lane = lanes[strip.lanes.lowerBound]
        kernel.tiles.pack_queries(
            queryRow(lane), query.tokenStride, Int32(lane.rows), Int32(dimension), AttentionKernel.scoreScale(dimension), lane.queries)
        attend(storedKeys(strip.keys), strip, lanes) { index, _ in
            (index, index + reach >= lane.rows ? KernelTable.lanes : index + reach)
        }
    }

    /// Key t before the block is kept by rows below t + window.
    private func attendWindow(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], of tiles: RowBlockTiles) {
        let start = strip.keys.lowerBound
        attend(
            storedKeys(strip.keys), strip, lanes,
            announcing: { keys, tile in
                // Under the last tile chosen keys, if there are any, which are waited for sooner.
                announceQueries(under: keys, of: strip, in: &tile)
                if keys.upperBound == strip.keys.count { announceChosen(lane: 0, of: tiles, in: &tile) }
            }, bounds: { index, lane in (0, start + index + tiles.window - lane.firstPosition) })
    }

    /// Column c is kept by rows from c + window on, unless key blocks hold it.
    private func attendColumns(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], of tiles: RowBlockTiles) {
        let parts = parts
        attend(storedColumns(strip.keys), strip, lanes) { index, lane in
            let column = Int(parts.columns[index])
            if tiles.holdColumn(column, lane: lane.firstRow / KernelTable.lanes) { return (KernelTable.lanes, 0) }
            return (column + tiles.window - lane.firstPosition, KernelTable.lanes)
        }
    }

    /// Key t of a kept block is kept by rows from t + window on.
    private func attendKeyBlocks(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], window: Int) {
        let start = strip.keys.lowerBound
        attend(storedKeys(strip.keys), strip, lanes) { index, lane in (start + index + window - lane.firstPosition, KernelTable.lanes) }
    }
}
