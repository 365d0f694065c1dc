import AttentionCore
import CAttentionKernels
import Parallelism

/// The keys of some heads in eight bits, packed once for every block of queries that is scored with them.
///
/// Each row has a scale of its own, as in `RowFormat.int8`: x ≈ scale · x̂ with whole x̂, so that the score of a query q and a key k is
/// about `scale_q · scale_k · Σ_t q̂_t k̂_t`, whose sum is exact. Every instruction set gives the same scores, bit for bit. They are for
/// choosing keys, not for attention itself: what the rounding costs is the caller's to weigh.
///
/// Memory: d bytes a key, rounded up to what the instruction set multiplies together (2 · d where it multiplies no bytes), and its scale.
/// Source: SageAttention, quantisation per token (arXiv 2410.02367), without its subtraction of the keys' mean, which moves all scores of a
/// row alike.
package final class Int8Keys: Sendable {
    package let heads, count, dimension: Int
    fileprivate let kernels: KernelTable
    /// [head][headBytes], in the instruction set's own layout.
    private let numbers: AlignedBuffer<UInt8>
    /// [head][key].
    private let scales: AlignedBuffer<Float>
    private let headBytes: Int

    /// Packs the keys on the kernel's threads.
    ///
    /// Shapes: key [keyValueHeads][keys][d].
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package init(_ key: HeadTensor, kernel: AttentionKernel) throws(InputError) {
        (heads, count, dimension) = (key.heads, key.tokens, key.dimension)
        kernels = kernel.table
        headBytes = kernels.int8Bytes(keys: count, dimension: dimension)
        numbers = try AlignedBuffer(extents: heads, headBytes, of: "keys in eight bits")
        scales = try AlignedBuffer(extents: heads, count, of: "scales of keys")
        pack(key, heads: Array(0..<heads), pool: kernel.pool)
    }

    /// Packs the keys of some heads, whose places in `wanted` are their numbers here. Traps when the system does not give the memory.
    ///
    /// Shapes: as the other initialiser.
    package init(_ key: HeadTensor, heads wanted: [Int], kernel: AttentionKernel) {
        (heads, count, dimension) = (wanted.count, key.tokens, key.dimension)
        kernels = kernel.table
        headBytes = kernels.int8Bytes(keys: count, dimension: dimension)
        numbers = AlignedBuffer(count: heads * headBytes)
        scales = AlignedBuffer(count: heads * count)
        pack(key, heads: wanted, pool: kernel.pool)
    }

    private func pack(_ key: HeadTensor, heads wanted: [Int], pool: WorkerPool) {
        let piece = 32 * Int(SA_INT8_KEYS)
        let pieces = (count + piece - 1) / piece
        let (numbers, scales) = (SharedPointer(numbers.base), SharedPointer(scales.base))
        pool.run(heads * pieces) { [count, dimension, kernels, headBytes] _, index in
            let (head, first) = (index / pieces, index % pieces * piece)
            kernels.functions.pack_int8_keys(
                key.row(head: wanted[head], token: first), key.tokenStride, Int32(min(piece, count - first)), Int32(dimension),
                numbers.base + head * headBytes + kernels.int8Bytes(keys: first, dimension: dimension), scales.base + head * count + first)
        }
    }

    /// Groups that `keys` keys make, the last one as short as it comes.
    package static func groups(keys: Int, group: Int) -> Int { (keys + group - 1) / group }

    /// The largest score of each query in each group of neighbouring keys, over a head's first `keys` keys; with a group of 1 the scores.
    ///
    /// Shapes: output [groups][`KernelTable.lanes`]; lanes past the packed rows are rows of zeros.
    /// Units: products of queries and keys as they are, q · k.
    /// Keys that are not finite are passed over, and the maximum of no key is −∞ times the query's scale; a query that is not finite has
    /// only NaN.
    /// Complexity: `KernelTable.lanes` · keys · d multiply-adds. Runs on the calling thread.
    ///
    /// - Parameters:
    ///   - queries: packed for these keys.
    ///   - group: keys of a group: 1, or a multiple of 16.
    package func maxima(of queries: Int8Queries, head: Int, keys: Int, group: Int, into output: UnsafeMutablePointer<Float>) {
        precondition(queries.dimension == dimension, "queries and keys must have one dimension")
        precondition((0..<heads).contains(head) && (0...count).contains(keys), "head and keys must be packed ones")
        precondition(group == 1 || group > 0 && group % 16 == 0, "groups have one key or a multiple of 16")
        kernels.functions.int8_maxima(
            queries.numbers.base, queries.scales.base, numbers.base + head * headBytes, scales.base + head * count, Int32(keys),
            Int32(dimension), Int32(group), output)
    }
}

/// Room for a block of queries in eight bits; one thread at a time fills and uses it.
package final class Int8Queries: Sendable {
    fileprivate let dimension: Int
    private let kernels: KernelTable
    fileprivate let numbers: AlignedBuffer<UInt8>
    fileprivate let scales = AlignedBuffer<Float>(count: KernelTable.lanes)

    /// For queries that are scored with these keys.
    package init(for keys: Int8Keys) {
        (dimension, kernels) = (keys.dimension, keys.kernels)
        numbers = AlignedBuffer(count: Int(kernels.functions.int8_query_bytes(Int32(dimension))))
    }

    /// Takes up to `KernelTable.lanes` rows, one a lane.
    ///
    /// Shapes: rows [count][d], `stride` floats from one to the next.
    package func pack(_ rows: UnsafePointer<Float>, stride: Int, count: Int) {
        precondition((0...KernelTable.lanes).contains(count), "a block holds so many rows")
        kernels.functions.pack_int8_queries(rows, stride, Int32(count), Int32(dimension), numbers.base, scales.base)
    }
}

extension KernelTable {
    /// Bytes of so many packed keys, and in front of the next one where they are whole units of `SA_INT8_KEYS`.
    fileprivate func int8Bytes(keys: Int, dimension: Int) -> Int { Int(functions.int8_key_bytes(keys, Int32(dimension))) }
}
