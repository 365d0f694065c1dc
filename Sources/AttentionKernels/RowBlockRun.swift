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

    private var dimension: Int { plan.shape.headDimension }
    private var firstPosition: Int { plan.shape.firstPosition + block.firstRow }
    private var keyValueHead: Int { plan.shape.keyValueHead(of: block.head) }
    private var parts: PatternParts { plan.parts[block.head] }
    private var sink: Float? { AttentionKernel.sink(plan.shape.scores, head: block.head) }

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
            case .window: attendWindow(strip, lanes, window: tiles.window)
            case .columns: attendColumns(strip, lanes, window: tiles.window)
            case .keyBlocks: attendKeyBlocks(strip, lanes, window: tiles.window)
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
    private struct LaneBlock {
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
    private func attendWindow(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], window: Int) {
        let start = strip.keys.lowerBound
        attend(storedKeys(strip.keys), strip, lanes) { index, lane in (0, start + index + window - lane.firstPosition) }
    }

    /// Column c is kept by rows from c + window on, unless a key block holds it.
    private func attendColumns(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], window: Int) {
        let parts = parts
        let queryBlock = firstPosition / BlockMask.blockSize
        attend(storedColumns(strip.keys), strip, lanes) { index, lane in
            let column = Int(parts.columns[index])
            if parts.hasBlocks, parts.keepsBlock(query: queryBlock, key: column / BlockMask.blockSize) { return (KernelTable.lanes, 0) }
            return (column + window - lane.firstPosition, KernelTable.lanes)
        }
    }

    /// Key t of a kept block is kept by rows from t + window on.
    private func attendKeyBlocks(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], window: Int) {
        let start = strip.keys.lowerBound
        attend(storedKeys(strip.keys), strip, lanes) { index, lane in (start + index + window - lane.firstPosition, KernelTable.lanes) }
    }

    // MARK: Tiles

    /// The keys of a strip, as they stand in memory.
    private struct StoredKeys {
        /// In the order of the tokens, as floats, when they are not gathered.
        let keys, values: UnsafePointer<Float>
        let keyStride, valueStride: Int
        let count: Int
        /// Packed in the kernel's precision already.
        let isPacked: Bool
    }

    private func storedKeys(_ range: Range<Int>) -> StoredKeys {
        if let offset = packed?.offset(of: range.lowerBound, keyValueHead: keyValueHead) {
            return packedKeys(workspace.packedKeys, workspace.packedValues, offset: offset, count: range.count)
        }
        return StoredKeys(
            keys: key.row(head: keyValueHead, token: range.lowerBound), values: value.row(head: keyValueHead, token: range.lowerBound),
            keyStride: key.tokenStride, valueStride: value.tokenStride, count: range.count, isPacked: kernel.precision == .fp32)
    }

    private func storedColumns(_ range: Range<Int>) -> StoredKeys {
        packedKeys(
            workspace.gatheredKeys, workspace.gatheredValues, offset: plan.columnOffsets[block.head] + range.lowerBound, count: range.count)
    }

    private func packedKeys(
        _ keys: borrowing AlignedBuffer<Float>, _ values: borrowing AlignedBuffer<Float>, offset: Int, count: Int
    ) -> StoredKeys {
        let steps = kernel.tiles.steps(dimension)
        return StoredKeys(
            keys: keys.base + offset * steps, values: values.base + kernel.tiles.steps(offset) * dimension, keyStride: steps,
            valueStride: dimension, count: count, isPacked: true)
    }

    /// Adds a strip tile by tile, each tile to every lane block that sees it; `bounds` gives the lanes that keep a key. Inlined, as `bounds`
    /// is asked for every key of a masked tile.
    @inline(__always)
    private func attend(
        _ stored: StoredKeys, _ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock],
        bounds: (_ index: Int, _ lane: LaneBlock) -> (first: Int, end: Int)
    ) {
        let cap = AttentionKernel.scoreCap(plan.shape.scores)
        withUnsafeTemporaryAllocation(of: SALaneBlock.self, capacity: AttentionPlan.mostLaneBlocks) { blocks in
            strip.forEachTile { keys in
                var tile = packed(keys, of: stored, cap: cap)
                if !stored.isPacked {
                    announce(nextAfter: keys, of: stored, in: &tile)
                } else if strip.kind == .window {
                    announceQueries(under: keys, of: strip, in: &tile)
                }
                var count = 0
                for (index, view) in strip.views.enumerated() {
                    let lane = lanes[strip.lanes.lowerBound + index]
                    let coverage = view.coverage(of: keys)
                    if coverage == .none { continue }
                    let isMasked = coverage == .some
                    let (first, end) = scratch.laneBounds(count)
                    if isMasked { bound(keys, view, first: first, end: end) { bounds($0, lane) } }
                    blocks[count] = SALaneBlock(
                        queries: lane.queries, output: lane.output, shift: lane.shift, sum: lane.sum, first: isMasked ? first : nil,
                        end: isMasked ? end : nil)
                    count += 1
                }
                kernel.tiles.attend(&tile, blocks.baseAddress!, Int32(count), Int32(dimension), scratch.probabilities)
            }
        }
    }

    /// What is packed next is fetched while a tile is worked on.
    private func announce(nextAfter range: Range<Int>, of stored: StoredKeys, in tile: inout SATile) {
        guard range.upperBound < stored.count else { return }
        tile.next = (stored.keys + range.upperBound * stored.keyStride, stored.values + range.upperBound * stored.valueStride)
        tile.next_stride = (stored.keyStride, stored.valueStride)
        tile.next_rows = Int32(min(KernelTable.tileKeys, stored.count - range.upperBound))
    }

    /// Queries of the row block that the thread is likely to work on next. Where few keys are kept, waiting for them would take a tenth of
    /// the time; so they are fetched under the tiles of the window, evenly.
    private func announceQueries(under keys: Range<Int>, of strip: RowBlockTiles.Strip, in tile: inout SATile) {
        let first = nextBlock.rows * keys.lowerBound / strip.keys.count, end = nextBlock.rows * keys.upperBound / strip.keys.count
        tile.next.0 = query.row(head: nextBlock.head, token: nextBlock.firstRow + first)
        tile.next_stride.0 = query.tokenStride
        tile.next_rows = Int32(min(KernelTable.tileKeys, end - first))
    }

    @inline(__always)
    private func bound(
        _ tile: Range<Int>, _ view: RowBlockTiles.View, first: UnsafeMutablePointer<UInt8>, end: UnsafeMutablePointer<UInt8>,
        _ bounds: (Int) -> (first: Int, end: Int)
    ) {
        let lanes = KernelTable.lanes
        first.update(repeating: 0, count: tile.count)
        end.update(repeating: UInt8(lanes), count: tile.count)
        let whole = view.whole.clamped(to: tile)
        for part in [tile.lowerBound..<whole.lowerBound, whole.upperBound..<tile.upperBound] {
            for index in part {
                let (from, to) = view.seen.contains(index) ? bounds(index) : (lanes, 0)
                first[index - tile.lowerBound] = UInt8(min(max(from, 0), lanes))
                end[index - tile.lowerBound] = UInt8(min(max(to, 0), lanes))
            }
        }
    }

    private func packed(_ range: Range<Int>, of stored: StoredKeys, cap: Float) -> SATile {
        let count = Int32(range.count)
        let keys = stored.keys + range.lowerBound * stored.keyStride
        if stored.isPacked {
            return SATile(
                keys: keys, stride: stored.keyStride, values: stored.values + kernel.tiles.steps(range.lowerBound) * stored.valueStride,
                valueStride: stored.valueStride, count: range.count, cap: cap)
        }
        let values = stored.values + range.lowerBound * stored.valueStride
        kernel.tiles.pack_keys(keys, stored.keyStride, nil, count, Int32(dimension), scratch.tileKeys)
        kernel.tiles.pack_values(values, stored.valueStride, nil, count, Int32(dimension), scratch.tileValues)
        return SATile(
            keys: scratch.tileKeys, stride: kernel.tiles.steps(dimension), values: scratch.tileValues, valueStride: dimension,
            count: range.count, cap: cap)
    }

    // MARK: Single rows

    /// One query on its own, in FP32: scores of all its kept keys, softmax, weighted sum.
    private func executeRow(_ row: Int, output: UnsafeMutablePointer<Float>, logSumExp: UnsafeMutablePointer<Float>?) {
        let kernels = kernel.table.rows(.fp32)
        let ranges = keptRanges(position: firstPosition + row)
        var maximum = -Float.infinity
        var scores = scratch.rowScores
        for range in ranges {
            var rows = key.kernelRows(head: keyValueHead, range)
            kernels.row_scores(
                query.row(head: block.head, token: block.firstRow + row), dimension, 1, AttentionKernel.scoreScale(dimension), &rows,
                Int32(dimension), scores, range.count, &maximum)
            scores += range.count
        }
        let count = Int32(scores - scratch.rowScores)
        let cap = AttentionKernel.scoreCap(plan.shape.scores)
        if cap > 0 {
            kernel.functions.soft_cap(scratch.rowScores, count, cap)
            kernel.functions.soft_cap(&maximum, 1, cap)
        }
        let sum = kernel.functions.row_exp2(scratch.rowScores, count, maximum)
        let wholeSum = sum + (sink.map { exp2f($0 - maximum) } ?? 0)
        output.update(repeating: 0, count: dimension)
        scores = scratch.rowScores
        for range in ranges {
            var rows = value.kernelRows(head: keyValueHead, range)
            kernels.row_accumulate(scores, range.count, 1, &rows, Int32(dimension), output, dimension)
            scores += range.count
        }
        for t in 0..<dimension { output[t] /= wholeSum }
        logSumExp?.pointee = Self.naturalLog(maximum, sum)
    }

    /// The keys one row keeps, as ranges that do not overlap.
    private func keptRanges(position: Int) -> [Range<Int>] {
        if block.isDense { return [0..<position + 1] }
        let size = BlockMask.blockSize
        let parts = parts
        let windowStart = max(0, position - parts.window + 1)
        var ranges = [windowStart..<position + 1]
        if parts.hasBlocks {
            for run in parts.keyBlocks(queryBlock: position / size).map(Int.init).runs where run.lowerBound * size < windowStart {
                ranges.append(run.lowerBound * size..<min(run.upperBound * size, windowStart))
            }
        }
        for column in parts.columns.prefix(parts.columns.count(below: windowStart)).map(Int.init)
        where !(parts.hasBlocks && parts.keepsBlock(query: position / size, key: column / size)) {
            if ranges.count > 1, ranges[ranges.count - 1].upperBound == column {
                ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<column + 1
            } else {
                ranges.append(column..<column + 1)
            }
        }
        return ranges
    }
}
