import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One row block of a plan, from packed queries to finished output.
///
/// Every row keeps three kinds of keys, each at most once: its window; the gathered columns; and the key blocks of its query
/// block. Columns and key blocks are left to the window where it reaches them, columns to key blocks.
struct RowBlockRun {
    let kernel: AttentionKernel
    let plan: AttentionPlan
    let block: AttentionPlan.RowBlock
    let query, key, value: HeadTensor
    let workspace: AttentionWorkspace
    let scratch: BlockScratch

    private var dimension: Int { plan.shape.headDimension }
    private var firstPosition: Int { plan.shape.firstPosition + block.firstRow }
    private var keyValueHead: Int { plan.shape.keyValueHead(of: block.head) }
    private var parts: PatternParts { plan.parts[block.head] }
    /// Positions each row sees back from itself.
    private var window: Int { block.isDense ? plan.shape.keyCount : parts.window }

    func execute(output: UnsafeMutablePointer<Float>, outputStride: Int, logSumExp: UnsafeMutablePointer<Float>?) {
        if block.isDoneByRows {
            for row in 0..<block.rows { executeRow(row, output: output + row * outputStride, logSumExp: logSumExp.map { $0 + row }) }
            return
        }
        let lanes = laneBlocks
        scratch.reset(dimension: dimension, rows: block.rows)
        for (index, lane) in lanes.enumerated() {
            kernel.tiles.pack_queries(
                queryRow(lane), query.tokenStride, Int32(lane.rows), Int32(dimension), AttentionKernel.scoreScale(dimension), lane.queries)
            attendOwnKeys(lane, before: index + 1 < lanes.count ? lanes[index + 1] : nil)
        }
        attendWindow(lanes)
        if !block.isDense {
            attendColumns(lanes)
            if parts.hasBlocks { attendKeyBlocks(lanes) }
        }
        for lane in lanes {
            kernel.functions.finish_output(
                lane.output, lane.sum, Int32(lane.rows), Int32(dimension), output + lane.firstRow * outputStride, outputStride)
            guard let logSumExp else { continue }
            for row in 0..<lane.rows { logSumExp[lane.firstRow + row] = Self.naturalLog(lane.shift[row], lane.sum[row]) }
        }
    }

    /// One lane block of the rows, and its part of the scratch.
    private struct LaneBlock {
        /// Counted from the row block's first row.
        let firstRow: Int
        let rows: Int
        let firstPosition: Int
        let queries, output, shift, sum: UnsafeMutablePointer<Float>

        var lastPosition: Int { firstPosition + rows - 1 }
    }

    private var laneBlocks: [LaneBlock] {
        let lanes = KernelTable.lanes
        return stride(from: 0, to: block.rows, by: lanes).map { row in
            LaneBlock(
                firstRow: row, rows: min(lanes, block.rows - row), firstPosition: firstPosition + row,
                queries: scratch.queries + row * dimension, output: scratch.output + row * dimension, shift: scratch.shift + row,
                sum: scratch.sum + row)
        }
    }

    private func queryRow(_ lane: LaneBlock) -> UnsafePointer<Float> {
        query.row(head: block.head, token: block.firstRow + lane.firstRow)
    }

    static func naturalLog(_ shift: Float, _ sum: Float) -> Float { (shift + log2f(sum)) * 0.6931471805599453 }

    // MARK: Kinds of keys

    /// The keys at the block's own positions come first, because then every lane has seen a key: key t is kept by rows at
    /// positions t ..< t + window, or, in a key block (the diagonal one always is), by all from t on.
    private func attendOwnKeys(_ lane: LaneBlock, before next: LaneBlock?) {
        let reach = parts.hasBlocks && !block.isDense ? KernelTable.lanes : min(window, KernelTable.lanes)
        let view = View(lane, seen: 0..<lane.rows, whole: 0..<0)
        attend(keyStrip(lane.firstPosition..<lane.firstPosition + lane.rows), [view], nextQueries: next.map(queryRow)) { index, _ in
            (index, index + reach >= lane.rows ? KernelTable.lanes : index + reach)
        }
    }

    /// Key t before the block is kept by rows below t + window.
    private func attendWindow(_ lanes: [LaneBlock]) {
        let start = max(0, firstPosition - window + 1)
        let views = lanes.map { lane in
            let first = max(0, lane.firstPosition - window + 1)
            return View(
                lane, seen: first - start..<lane.firstPosition - start,
                whole: max(first, min(lane.firstPosition, lane.lastPosition - window + 1)) - start..<lane.firstPosition - start)
        }
        attend(keyStrip(start..<lanes.last!.firstPosition), views) { index, lane in (0, start + index + window - lane.firstPosition) }
    }

    /// Column c is left to the window in rows that see it there: kept by rows from c + window on.
    private func attendColumns(_ lanes: [LaneBlock]) {
        let parts = parts
        let queryBlock = firstPosition / BlockMask.blockSize
        let views = lanes.map { lane in
            let whole = parts.hasBlocks ? 0 : parts.columns.count(below: lane.firstPosition - window + 1)
            return View(lane, seen: 0..<parts.columns.count(below: lane.lastPosition - window + 1), whole: 0..<whole)
        }
        guard let most = views.map(\.seen.upperBound).max(), most > 0 else { return }
        attend(columnStrip(0..<most), views) { index, lane in
            let column = Int(parts.columns[index])
            if parts.hasBlocks, parts.keepsBlock(query: queryBlock, key: column / BlockMask.blockSize) { return (KernelTable.lanes, 0) }
            return (column + window - lane.firstPosition, KernelTable.lanes)
        }
    }

    /// Keys of kept blocks before the lanes' own positions, again without what the window holds.
    private func attendKeyBlocks(_ lanes: [LaneBlock]) {
        let size = BlockMask.blockSize
        for run in runs(of: parts.keyBlocks(queryBlock: firstPosition / size)) {
            let start = run.lowerBound * size
            let views = lanes.map { lane in
                let end = max(start, min(run.upperBound * size, min(lane.firstPosition, lane.lastPosition - window + 1)))
                return View(
                    lane, seen: 0..<end - start,
                    whole: 0..<max(0, min(end, lane.firstPosition - window + 1) - start))
            }
            guard let most = views.map(\.seen.upperBound).max(), most > 0 else { continue }
            attend(keyStrip(start..<start + most), views) { index, lane in
                (start + index + window - lane.firstPosition, KernelTable.lanes)
            }
        }
    }

    /// Neighbouring blocks joined.
    private func runs(of blocks: [Int32]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for block in blocks.map(Int.init) {
            if let last = runs.last, last.upperBound == block {
                runs[runs.count - 1] = last.lowerBound..<block + 1
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }

    // MARK: Tiles

    /// A run of keys in memory.
    private struct Strip {
        /// In the order of the tokens, as floats, when they are not gathered.
        let keys, values: UnsafePointer<Float>
        let keyStride, valueStride: Int
        let count: Int
        /// Packed in the kernel's precision already.
        let isPacked: Bool
    }

    private func keyStrip(_ range: Range<Int>) -> Strip {
        Strip(
            keys: key.row(head: keyValueHead, token: range.lowerBound), values: value.row(head: keyValueHead, token: range.lowerBound),
            keyStride: key.tokenStride, valueStride: value.tokenStride, count: range.count, isPacked: kernel.precision == .fp32)
    }

    private func columnStrip(_ range: Range<Int>) -> Strip {
        let offset = plan.columnOffsets[block.head] + range.lowerBound
        let keySteps = kernel.precision.steps(dimension)
        return Strip(
            keys: workspace.gatheredKeys.base + offset * keySteps,
            values: workspace.gatheredValues.base + kernel.precision.steps(offset) * dimension, keyStride: keySteps,
            valueStride: dimension, count: range.count, isPacked: true)
    }

    /// What a lane block sees of a strip, as indices into it: it keeps nothing outside `seen`, all its lanes keep `whole`.
    private struct View {
        let lane: LaneBlock
        let seen, whole: Range<Int>

        init(_ lane: LaneBlock, seen: Range<Int>, whole: Range<Int>) {
            self.lane = lane
            self.seen = seen
            self.whole = whole
        }
    }

    /// Adds a strip tile by tile, each tile to every lane block that sees it; `bounds` gives the lanes that keep a key.
    private func attend(
        _ strip: Strip, _ views: [View], nextQueries: UnsafePointer<Float>? = nil,
        bounds: (_ index: Int, _ lane: LaneBlock) -> (first: Int, end: Int)
    ) {
        for start in stride(from: 0, to: strip.count, by: KernelTable.tileKeys) {
            let whole = start..<min(start + KernelTable.tileKeys, strip.count)
            guard views.contains(where: { !whole.clamped(to: $0.seen).isEmpty }) else { continue }
            var tile = packed(whole, of: strip)
            for (index, view) in views.enumerated() {
                announce(nextAfter: whole, of: strip, under: index, of: views.count, queries: nextQueries, in: &tile)
                let isMasked = view.whole.lowerBound > whole.lowerBound || whole.upperBound > view.whole.upperBound
                if isMasked {
                    let seen = whole.clamped(to: view.seen)
                    if seen.isEmpty { continue }
                    bound(whole, seen: seen) { bounds($0, view.lane) }
                }
                tile.first = isMasked ? UnsafePointer(scratch.firstLane) : nil
                tile.end = isMasked ? UnsafePointer(scratch.endLane) : nil
                var state = SALaneBlock(
                    queries: view.lane.queries, output: view.lane.output, shift: view.lane.shift, sum: view.lane.sum)
                kernel.tiles.attend(&tile, &state, Int32(dimension), scratch.probabilities)
            }
        }
    }

    /// What is packed next is fetched while a tile is worked on: keys under the first lane block, values under the second (if there
    /// is one), or the next lane block's queries.
    private func announce(
        nextAfter range: Range<Int>, of strip: Strip, under index: Int, of count: Int, queries: UnsafePointer<Float>?, in tile: inout SATile
    ) {
        tile.next = (queries, nil)
        tile.next_stride = (query.tokenStride, strip.valueStride)
        guard !strip.isPacked && range.upperBound < strip.count else { return }
        tile.next_stride.0 = strip.keyStride
        tile.next.0 = index == 0 ? strip.keys + range.upperBound * strip.keyStride : nil
        tile.next.1 = index == min(1, count - 1) ? strip.values + range.upperBound * strip.valueStride : nil
    }

    private func bound(_ tile: Range<Int>, seen: Range<Int>, _ bounds: (Int) -> (first: Int, end: Int)) {
        for index in tile {
            let (first, end) = seen.contains(index) ? bounds(index) : (KernelTable.lanes, 0)
            scratch.firstLane[index - tile.lowerBound] = UInt8(min(max(first, 0), KernelTable.lanes))
            scratch.endLane[index - tile.lowerBound] = UInt8(min(max(end, 0), KernelTable.lanes))
        }
    }

    private func packed(_ range: Range<Int>, of strip: Strip) -> SATile {
        let count = Int32(range.count)
        let keys = strip.keys + range.lowerBound * strip.keyStride
        if strip.isPacked {
            return SATile(
                keys: keys, key_stride: strip.keyStride,
                values: strip.values + kernel.precision.steps(range.lowerBound) * strip.valueStride, value_stride: strip.valueStride,
                count: count, first: nil, end: nil, next: (nil, nil), next_stride: (0, 0))
        }
        let values = strip.values + range.lowerBound * strip.valueStride
        kernel.tiles.pack_keys(keys, strip.keyStride, nil, count, Int32(dimension), scratch.tileKeys)
        kernel.tiles.pack_values(values, strip.valueStride, nil, count, Int32(dimension), scratch.tileValues)
        return SATile(
            keys: scratch.tileKeys, key_stride: kernel.precision.steps(dimension), values: scratch.tileValues, value_stride: dimension,
            count: count, first: nil, end: nil, next: (nil, nil), next_stride: (0, 0))
    }

    // MARK: Single rows

    /// One query on its own, in FP32: scores of all its kept keys, softmax, weighted sum.
    private func executeRow(_ row: Int, output: UnsafeMutablePointer<Float>, logSumExp: UnsafeMutablePointer<Float>?) {
        let kernels = kernel.functions
        let ranges = keptRanges(position: firstPosition + row)
        var maximum = -Float.infinity
        var scores = scratch.rowScores
        for range in ranges {
            let highest = kernels.row_scores(
                query.row(head: block.head, token: block.firstRow + row), AttentionKernel.scoreScale(dimension), Int32(dimension),
                key.row(head: keyValueHead, token: range.lowerBound), key.tokenStride, Int32(range.count), scores)
            maximum = max(maximum, highest)
            scores += range.count
        }
        let sum = kernels.row_exp2(scratch.rowScores, Int32(scores - scratch.rowScores), maximum)
        output.update(repeating: 0, count: dimension)
        scores = scratch.rowScores
        for range in ranges {
            kernels.row_accumulate(
                scores, Int32(range.count), value.row(head: keyValueHead, token: range.lowerBound), value.tokenStride, Int32(dimension),
                scratch.output)
            for t in 0..<dimension { output[t] += scratch.output[t] }
            scores += range.count
        }
        for t in 0..<dimension { output[t] /= sum }
        logSumExp?.pointee = Self.naturalLog(maximum, sum)
    }

    /// The keys one row keeps, as ranges that do not overlap.
    private func keptRanges(position: Int) -> [Range<Int>] {
        if block.isDense { return [0..<position + 1] }
        let size = BlockMask.blockSize
        let parts = parts
        let windowStart = max(0, position - window + 1)
        var ranges = [windowStart..<position + 1]
        if parts.hasBlocks {
            for run in runs(of: parts.keyBlocks(queryBlock: position / size)) where run.lowerBound * size < windowStart {
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
