import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// One row block of a plan, from packed queries to finished output.
struct RowBlockRun {
    let kernels: SAKernelTable
    let plan: AttentionPlan
    let block: AttentionPlan.RowBlock
    let query, key, value: HeadTensor
    let workspace: AttentionWorkspace
    let scratch: BlockScratch

    /// Below this many rows a block wastes more lanes than it fills, and rows are done one by one (decoding).
    private static let fewestLanes = 5

    private var dimension: Int { plan.shape.headDimension }
    private var firstPosition: Int { plan.shape.firstPosition + block.firstRow }
    private var keyValueHead: Int { plan.shape.keyValueHead(of: block.head) }

    /// A run of kept keys in memory: contiguous keys, or gathered columns.
    private struct Strip {
        let keys, values: UnsafePointer<Float>
        let keyStride, valueStride: Int
        let count: Int
    }

    func execute(output: UnsafeMutablePointer<Float>, outputStride: Int, logSumExp: UnsafeMutablePointer<Float>?) {
        if block.rows < Self.fewestLanes {
            for row in 0..<block.rows { executeRow(row, output: output + row * outputStride, logSumExp: logSumExp.map { $0 + row }) }
            return
        }
        let parts = laneBlocks
        scratch.reset(dimension: dimension, laneBlocks: parts.count)
        for part in parts {
            kernels.pack_queries(
                query.row(head: block.head, token: block.firstRow + part.firstRow), query.tokenStride, Int32(part.rows), Int32(dimension),
                AttentionKernel.scoreScale(dimension), part.queries)
        }
        attendColumns(parts)
        attendWindow(parts)
        for part in parts {
            kernels.finish_output(
                part.output, part.sum, Int32(part.rows), Int32(dimension), output + part.firstRow * outputStride, outputStride)
            guard let logSumExp else { continue }
            for lane in 0..<part.rows { logSumExp[part.firstRow + lane] = naturalLog(part.maximum[lane], part.sum[lane]) }
        }
    }

    /// One lane block of the rows, and its part of the scratch.
    private struct LaneBlock {
        /// Counted from the row block's first row.
        let firstRow: Int
        let rows: Int
        let firstPosition: Int
        let queries, output, maximum, sum: UnsafeMutablePointer<Float>

        var lastPosition: Int { firstPosition + rows - 1 }
    }

    private var laneBlocks: [LaneBlock] {
        let lanes = KernelTable.lanes
        return stride(from: 0, to: block.rows, by: lanes).map { row in
            LaneBlock(
                firstRow: row, rows: min(lanes, block.rows - row), firstPosition: firstPosition + row,
                queries: scratch.queries + row * dimension, output: scratch.output + row * dimension, maximum: scratch.maximum + row,
                sum: scratch.sum + row)
        }
    }

    private func naturalLog(_ maximum: Float, _ sum: Float) -> Float { (maximum + log2f(sum)) * 0.6931471805599453 }

    /// What a lane block sees of a strip, as indices into it: it keeps nothing outside `seen`, all its lanes keep `whole`.
    private struct View {
        let seen, whole: Range<Int>
    }

    /// Column c is left to the window in rows that see it there: kept by lanes whose position is at least c + window.
    private func attendColumns(_ parts: [LaneBlock]) {
        guard block.columns > 0, case .windowColumns(let stripes) = plan.patterns[block.head] else { return }
        let views = parts.map { part in
            View(
                seen: 0..<stripes.columnCount(below: part.lastPosition - block.window + 1),
                whole: 0..<stripes.columnCount(below: part.firstPosition - block.window + 1))
        }
        attend(columnStrip(0..<block.columns), parts, views) { index, part in
            (Int(stripes.columns[index]) + block.window - part.firstPosition, KernelTable.lanes)
        }
    }

    /// Key t of the window is kept by rows at positions t ..< t + window.
    private func attendWindow(_ parts: [LaneBlock]) {
        let start = max(0, firstPosition - block.window + 1)
        let views = parts.map { part in
            let first = max(0, part.firstPosition - block.window + 1)
            // Keys that every row sees: inside the last row's window, and not after the first row.
            let wholeStart = max(first, part.lastPosition - block.window + 1)
            return View(
                seen: first - start..<part.lastPosition + 1 - start,
                whole: wholeStart - start..<max(wholeStart, part.firstPosition + 1) - start)
        }
        attend(keyStrip(start..<firstPosition + block.rows), parts, views) { index, part in
            (start + index - part.firstPosition, start + index + block.window - part.firstPosition)
        }
    }

    private func keyStrip(_ range: Range<Int>) -> Strip {
        Strip(
            keys: key.row(head: keyValueHead, token: range.lowerBound), values: value.row(head: keyValueHead, token: range.lowerBound),
            keyStride: key.tokenStride, valueStride: value.tokenStride, count: range.count)
    }

    private func columnStrip(_ range: Range<Int>) -> Strip {
        let offset = (plan.columnOffsets[block.head] + range.lowerBound) * dimension
        return Strip(
            keys: workspace.gatheredKeys.base + offset, values: workspace.gatheredValues.base + offset, keyStride: dimension,
            valueStride: dimension, count: range.count)
    }

    /// Adds a strip tile by tile, each tile to every lane block that sees it; `lanes` gives the lanes that keep a key.
    private func attend(
        _ strip: Strip, _ parts: [LaneBlock], _ views: [View], lanes: (_ index: Int, _ part: LaneBlock) -> (first: Int, end: Int)
    ) {
        for start in stride(from: 0, to: strip.count, by: KernelTable.tileKeys) {
            for (part, view) in zip(parts, views) {
                let tile = (start..<min(start + KernelTable.tileKeys, strip.count)).clamped(to: view.seen)
                if tile.isEmpty { continue }
                let isWhole = view.whole.lowerBound <= tile.lowerBound && tile.upperBound <= view.whole.upperBound
                if !isWhole {
                    for index in tile {
                        let (first, end) = lanes(index, part)
                        scratch.firstLane[index - tile.lowerBound] = UInt8(min(max(first, 0), KernelTable.lanes))
                        scratch.endLane[index - tile.lowerBound] = UInt8(min(max(end, 0), KernelTable.lanes))
                    }
                }
                add(tile, of: strip, to: part, isMasked: !isWhole)
            }
        }
    }

    private func add(_ tile: Range<Int>, of strip: Strip, to part: LaneBlock, isMasked: Bool) {
        let count = Int32(tile.count)
        kernels.scores(
            part.queries, Int32(dimension), strip.keys + tile.lowerBound * strip.keyStride, strip.keyStride, count, scratch.scores)
        kernels.softmax_tile(
            scratch.scores, count, isMasked ? scratch.firstLane : nil, isMasked ? scratch.endLane : nil, part.maximum, part.sum,
            scratch.rescale)
        kernels.accumulate(
            scratch.scores, count, strip.values + tile.lowerBound * strip.valueStride, strip.valueStride, Int32(dimension),
            scratch.rescale, part.output)
    }

    /// One query on its own: scores of all its kept keys, softmax, weighted sum.
    private func executeRow(_ row: Int, output: UnsafeMutablePointer<Float>, logSumExp: UnsafeMutablePointer<Float>?) {
        let position = firstPosition + row
        var columns = 0
        if block.columns > 0, case .windowColumns(let stripes) = plan.patterns[block.head] {
            columns = stripes.columnCount(below: position - block.window + 1)
        }
        let strips = [columnStrip(0..<columns), keyStrip(max(0, position - block.window + 1)..<position + 1)]
        var maximum = -Float.infinity
        var scores = scratch.rowScores
        for strip in strips where strip.count > 0 {
            let highest = kernels.row_scores(
                query.row(head: block.head, token: block.firstRow + row), AttentionKernel.scoreScale(dimension), Int32(dimension),
                strip.keys, strip.keyStride, Int32(strip.count), scores)
            maximum = max(maximum, highest)
            scores += strip.count
        }
        let count = strips[0].count + strips[1].count
        let sum = kernels.row_exp2(scratch.rowScores, Int32(count), maximum)
        output.update(repeating: 0, count: dimension)
        scores = scratch.rowScores
        for strip in strips where strip.count > 0 {
            kernels.row_accumulate(scores, Int32(strip.count), strip.values, strip.valueStride, Int32(dimension), scratch.output)
            for t in 0..<dimension { output[t] += scratch.output[t] / sum }
            scores += strip.count
        }
        logSumExp?.pointee = naturalLog(maximum, sum)
    }
}
