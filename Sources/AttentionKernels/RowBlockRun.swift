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
        scratch.reset(dimension: dimension)
        kernels.pack_queries(
            query.row(head: block.head, token: block.firstRow), query.tokenStride, Int32(block.rows), Int32(dimension),
            AttentionKernel.scoreScale(dimension), scratch.queries)
        attendColumns()
        attendWindow()
        kernels.finish_output(scratch.output, scratch.sum, Int32(block.rows), Int32(dimension), output, outputStride)
        guard let logSumExp else { return }
        for lane in 0..<block.rows { logSumExp[lane] = naturalLog(scratch.maximum[lane], scratch.sum[lane]) }
    }

    private func naturalLog(_ maximum: Float, _ sum: Float) -> Float { (maximum + log2f(sum)) * 0.6931471805599453 }

    /// Column c is left to the window in rows that see it there: kept by lanes whose position is at least c + window.
    private func attendColumns() {
        guard block.columns > 0, case .windowColumns(let stripes) = plan.patterns[block.head] else { return }
        let whole = stripes.columnCount(below: firstPosition - block.window + 1)
        attend(columnStrip(0..<block.columns), whole: 0..<whole) { index in
            (Int(stripes.columns[index]) + block.window - firstPosition, KernelTable.lanes)
        }
    }

    /// Key t of the window is kept by rows at positions t ..< t + window.
    private func attendWindow() {
        let last = firstPosition + block.rows - 1
        let start = max(0, firstPosition - block.window + 1)
        // Keys that every row sees: inside the last row's window, and not after the first row.
        let wholeStart = max(start, last - block.window + 1)
        let whole = wholeStart..<max(wholeStart, firstPosition + 1)
        attend(keyStrip(start..<last + 1), whole: whole.lowerBound - start..<whole.upperBound - start) { index in
            (start + index - firstPosition, start + index + block.window - firstPosition)
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

    /// Adds a strip tile by tile. Every lane keeps the keys of `whole`; `lanes(index)` gives the lanes that keep another key.
    private func attend(_ strip: Strip, whole: Range<Int>, lanes: (Int) -> (first: Int, end: Int)) {
        let size = KernelTable.tileKeys
        for start in stride(from: 0, to: strip.count, by: size) {
            let tile = start..<min(start + size, strip.count)
            let isWhole = whole.lowerBound <= tile.lowerBound && tile.upperBound <= whole.upperBound
            if !isWhole {
                for index in tile {
                    let (first, end) = lanes(index)
                    scratch.firstLane[index - start] = UInt8(min(max(first, 0), KernelTable.lanes))
                    scratch.endLane[index - start] = UInt8(min(max(end, 0), KernelTable.lanes))
                }
            }
            let count = Int32(tile.count)
            kernels.scores(
                scratch.queries, Int32(dimension), strip.keys + start * strip.keyStride, strip.keyStride, count, scratch.scores)
            kernels.softmax_tile(
                scratch.scores, count, isWhole ? nil : scratch.firstLane, isWhole ? nil : scratch.endLane, scratch.maximum, scratch.sum,
                scratch.rescale)
            kernels.accumulate(
                scratch.scores, count, strip.values + start * strip.valueStride, strip.valueStride, Int32(dimension), scratch.rescale,
                scratch.output)
        }
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
