import AttentionCore
import CAttentionKernels
import Parallelism

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Attention of one position over all rows of a cache, as every decoded token needs it in every layer, and the memory it works in. One run
/// at a time.
///
/// Rows are cut into pieces of `pieceRows`. A piece of a key-value head is read once for all its query heads: scores, their powers relative
/// to the piece's largest, and the weighted sum of values; then each head's pieces are put together relative to the largest of all. Few
/// heads so keep many threads busy, and the result does not depend on their number. Scores and sums are FP32 in every format.
///
/// Memory: O(capacity / pieceRows · queryHeads · d + threads · group · pieceRows) floats.
/// Source: the split over keys is Flash-Decoding's (Dao, Haziza, Massa and Sizov 2023, crfm.stanford.edu/2023/10/12/flashdecoding.html).
package final class DecodeAttention: @unchecked Sendable {  // Workers write places of their own.
    package let queryHeads, keyValueHeads, headDimension: Int
    private let kernel: AttentionKernel
    private let use = ExclusiveUse(of: "a DecodeAttention")
    /// Pieces there is room for, of each key-value head.
    private let mostPieces: Int
    /// [key-value head][piece][query head of its group][d]: sums of p · value.
    private let outputs: AlignedBuffer<Float>
    /// [key-value head][piece][query head of its group]: the largest score, in base-2 units, and the sum of p.
    private let highest, sums: AlignedBuffer<Float>
    /// [worker][query head of a group][row of a piece].
    private let scores: AlignedBuffer<Float>

    /// A piece of keys in FP32, d = 64, is 128 KiB: it is still in the second-level cache when the next queries of a large group read it.
    static let pieceRows = 512
    /// Waking a worker costs some microseconds, worth it from this many products on.
    private static let leastProducts = 1 << 18

    private var group: Int { queryHeads / keyValueHeads }

    /// - Parameter capacity: rows of a head, at most.
    /// - Precondition: key-value heads divide query heads.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package init(queryHeads: Int, keyValueHeads: Int, headDimension: Int, capacity: Int, kernel: AttentionKernel) throws(InputError) {
        precondition(queryHeads % keyValueHeads == 0, "every key-value head serves as many query heads")
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.kernel = kernel
        mostPieces = (capacity + Self.pieceRows - 1) / Self.pieceRows
        let purpose = "sums of \(capacity) rows in pieces"
        outputs = try AlignedBuffer(extents: mostPieces, queryHeads, headDimension, of: purpose)
        highest = try AlignedBuffer(extents: mostPieces, queryHeads, of: purpose)
        sums = try AlignedBuffer(extents: mostPieces, queryHeads, of: purpose)
        scores = AlignedBuffer(count: kernel.pool.threads * queryHeads / keyValueHeads * Self.pieceRows)
    }

    /// Attends to every row. A row that is not a number, in keys or values, makes its heads' outputs not numbers.
    ///
    /// Shapes: query and output [queryHeads][d]; keys and values of as many heads, rows and dimensions as each other, at least one row and
    /// no more than the capacity.
    package func run(
        query: UnsafePointer<Float>, keys: StoredRows, values: StoredRows, output: UnsafeMutablePointer<Float>,
        rule: ScoreRule = .standard
    ) {
        precondition(keys.heads == keyValueHeads && keys.dimension == headDimension, "keys must be of these heads")
        precondition(
            values.heads == keyValueHeads && values.dimension == headDimension && values.rows == keys.rows,
            "values must be of these heads, one row for each of the keys")
        use.during { attend(query: query, keys: keys, values: values, output: output, rule: rule) }
    }

    private func attend(
        query: UnsafePointer<Float>, keys: StoredRows, values: StoredRows, output: UnsafeMutablePointer<Float>, rule: ScoreRule
    ) {
        let pieces = (keys.rows + Self.pieceRows - 1) / Self.pieceRows
        precondition((1...mostPieces).contains(pieces), "there must be rows, and room for them")
        let source = SharedPointer(UnsafeMutablePointer(mutating: query))
        let tasks = keyValueHeads * pieces
        let together = max(1, Self.leastProducts / (2 * group * min(keys.rows, Self.pieceRows) * headDimension))
        kernel.pool.run((tasks + together - 1) / together) { worker, index in
            for task in index * together..<min((index + 1) * together, tasks) {
                attend(
                    head: task / pieces, piece: task % pieces, worker: worker, query: source.base, keys: keys, values: values,
                    cap: AttentionKernel.scoreCap(rule))
            }
        }
        for head in 0..<queryHeads {
            combine(head: head, pieces: pieces, sink: AttentionKernel.sink(rule, head: head), into: output + head * headDimension)
        }
    }

    /// Leaves one piece's sums of one key-value head.
    private func attend(
        head: Int, piece: Int, worker: Int, query: UnsafePointer<Float>, keys: StoredRows, values: StoredRows, cap: Float
    ) {
        let (group, d) = (group, Int32(headDimension))
        let range = piece * Self.pieceRows..<min((piece + 1) * Self.pieceRows, keys.rows)
        let place = (head * mostPieces + piece) * group
        let scores = scores.base + worker * group * Self.pieceRows
        let (highest, sums, output) = (highest.base + place, sums.base + place, outputs.base + place * headDimension)
        // A finite stand-in where all scores are -infinity avoids infinity - infinity.
        highest.update(repeating: -.greatestFiniteMagnitude, count: group)
        var rows = keys.kernelRows(head: head, range)
        kernel.table.rows(keys.format).row_scores(
            query + head * group * headDimension, headDimension, Int32(group), AttentionKernel.scoreScale(headDimension), &rows, d, scores,
            Self.pieceRows, highest)
        if cap > 0 {
            for index in 0..<group { kernel.functions.soft_cap(scores + index * Self.pieceRows, Int32(range.count), cap) }
            kernel.functions.soft_cap(highest, Int32(group), cap)
        }
        for index in 0..<group {
            sums[index] = kernel.functions.row_exp2(scores + index * Self.pieceRows, Int32(range.count), highest[index])
        }
        output.update(repeating: 0, count: group * headDimension)
        rows = values.kernelRows(head: head, range)
        kernel.table.rows(values.format).row_accumulate(
            scores, Self.pieceRows, Int32(group), &rows, d, output, headDimension)
    }

    /// output = Σ 2^(highest_piece − highest) · output_piece / Σ 2^(highest_piece − highest) · sum_piece.
    private func combine(head: Int, pieces: Int, sink: Float?, into output: UnsafeMutablePointer<Float>) {
        let first = head / group * mostPieces * group + head % group
        let largest = (0..<pieces).reduce(-Float.infinity) { max($0, highest[first + $1 * group]) }
        var sum: Float = 0
        output.update(repeating: 0, count: headDimension)
        for piece in 0..<pieces {
            let place = first + piece * group
            let weight = exp2f(highest[place] - largest)
            sum += weight * sums[place]
            let part = outputs.base + place * headDimension
            for t in 0..<headDimension { output[t] += weight * part[t] }
        }
        if let sink { sum += exp2f(sink - largest) }
        for t in 0..<headDimension { output[t] /= sum }
    }
}
