import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Rows too few for lanes, one by one.
extension RowBlockRun {
    /// One query on its own, in FP32: scores of all its kept keys, softmax, weighted sum.
    func executeRow(_ row: Int, output: UnsafeMutablePointer<Float>, logSumExp: UnsafeMutablePointer<Float>?) {
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
        func append(_ range: Range<Int>) {
            if range.lowerBound < windowStart { ranges.append(range.lowerBound..<min(range.upperBound, windowStart)) }
        }
        for run in parts.keyBlocks(queryBlock: position / size).map(Int.init).runs { append(run.lowerBound * size..<run.upperBound * size) }
        let chosen = parts.chosenKeys(queryBlock: position / WindowKeyBlocks.queryBlockRows)
        for range in chosen.ranges { append(range) }
        for column in parts.columns.prefix(parts.columns.count(below: windowStart)).map(Int.init)
        where !(parts.hasBlocks && parts.keepsBlock(query: position / size, key: column / size)) && !chosen.contains(column) {
            if ranges.count > 1, ranges[ranges.count - 1].upperBound == column {
                ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<column + 1
            } else {
                ranges.append(column..<column + 1)
            }
        }
        return ranges
    }
}
