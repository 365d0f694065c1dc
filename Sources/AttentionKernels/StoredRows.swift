import AttentionCore
import CAttentionKernels
import Parallelism

/// A read-only view of rows of keys or values in any format, in memory somebody else owns, which must outlive it.
///
/// Shapes: numbers [head][headStride][d], of which the first `rows` rows of each head are there; scales [head][headStride] where the
/// format has them.
package struct StoredRows: @unchecked Sendable {
    package let format: RowFormat
    package let heads, rows, dimension: Int
    private let numbers: UnsafeRawPointer
    private let scales: UnsafePointer<Float>?
    /// Rows from a head's first to the next head's.
    private let headStride: Int

    /// - Parameter scales: needed where the format has scales.
    package init(
        format: RowFormat, numbers: UnsafeRawPointer, scales: UnsafePointer<Float>? = nil, heads: Int, rows: Int, dimension: Int,
        headStride: Int
    ) {
        precondition(!format.hasScales || scales != nil, "rows of this format have scales")
        self.format = format
        self.numbers = numbers
        self.scales = scales
        (self.heads, self.rows, self.dimension) = (heads, rows, dimension)
        self.headStride = headStride
    }

    /// The rows as a tensor over the same memory, where they are floats.
    package var floats: HeadTensor? {
        guard format == .fp32 else { return nil }
        return HeadTensor(
            base: numbers.assumingMemoryBound(to: Float.self), heads: heads, tokens: rows, dimension: dimension,
            headStride: headStride * dimension, tokenStride: dimension)
    }

    /// Some rows of a head, as the kernels take them.
    func kernelRows(head: Int, _ range: Range<Int>) -> SARows {
        let first = head * headStride + range.lowerBound
        return SARows(
            numbers: numbers + first * dimension * format.numberBytes, stride: dimension, scales: scales.map { $0 + first },
            count: Int32(range.count))
    }
}

extension HeadTensor {
    /// Some tokens of a head, as the kernels take them.
    func kernelRows(head: Int, _ range: Range<Int>) -> SARows {
        SARows(numbers: row(head: head, token: range.lowerBound), stride: tokenStride, scales: nil, count: Int32(range.count))
    }
}

extension AttentionKernel {
    /// Writes every row as floats, pieces of heads spread over the pool. A row whose scale is not a number is NaN throughout.
    ///
    /// Shapes: output [head][rows][d], `headStride` floats from one head to the next.
    package func widen(_ stored: StoredRows, into output: UnsafeMutablePointer<Float>, headStride: Int) {
        let (target, kernels) = (SharedPointer(output), table.rows(stored.format))
        let piece = 1024
        let pieces = (stored.rows + piece - 1) / piece
        pool.run(stored.heads * pieces) { _, index in
            let (head, first) = (index / pieces, index % pieces * piece)
            var rows = stored.kernelRows(head: head, first..<min(first + piece, stored.rows))
            kernels.row_widen(
                &rows, Int32(stored.dimension), target.base + head * headStride + first * stored.dimension, stored.dimension)
        }
    }
}
