import AttentionCore
import CAttentionKernels
import Parallelism

/// The keys of some heads in eight bits, packed once for every block of queries that is scored with them.
///
/// Each query has a scale of its own, as rows in `RowFormat.int8` have, and keys one for each `scaleKeys` neighbours from a multiple of it
/// on: x ≈ scale · x̂ with whole x̂, so that the score of a query q and a key k is about `scale_q · scale_k · Σ_t q̂_t k̂_t`, whose sum is
/// exact, and the largest score of neighbours is that of their sums. Every instruction set gives the same scores, bit for bit. They are for
/// choosing keys, not for attention itself: what the rounding costs, and what coordinates that are left out do, is the caller's to weigh.
///
/// Memory: for each part d bytes a key, or one for each of its coordinates, rounded up to what the instruction set multiplies together
/// (twice as many where it multiplies no bytes), and a scale for each `scaleKeys`.
/// Source: SageAttention, quantisation by tokens and by blocks of them (arXiv 2410.02367), without its subtraction of the keys' mean, which
/// moves all scores of a row alike.
package final class Int8Keys: Sendable {
    /// The keys of a head, in all coordinates or in some of them.
    package struct Part: Hashable, Sendable {
        package let head: Int
        /// Ascending; nil for all.
        package let coordinates: [Int]?

        package init(head: Int, coordinates: [Int]? = nil) { (self.head, self.coordinates) = (head, coordinates) }
    }

    /// Neighbouring keys that have a scale in common.
    package static let scaleKeys = Int(SA_INT8_SCALE_KEYS)

    /// Packed heads, and the keys of each.
    package var heads: Int { parts.count }
    package let count: Int
    fileprivate let parts: [Part]
    fileprivate let kernels: KernelTable
    private let headDimension: Int
    /// Those of each part one after the other, in the instruction set's own layout.
    private let numbers: AlignedBuffer<UInt8>
    /// [part][⌈key / `scaleKeys`⌉].
    private let scales: AlignedBuffer<Float>
    /// Where the numbers of each part begin.
    private let offsets: [Int]

    /// Packs the keys on the kernel's threads.
    ///
    /// Shapes: key [keyValueHeads][keys][d].
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package init(_ key: HeadTensor, kernel: AttentionKernel) throws(InputError) {
        (parts, count, headDimension) = ((0..<key.heads).map { Part(head: $0) }, key.tokens, key.dimension)
        kernels = kernel.table
        let headBytes = kernels.int8Bytes(keys: count, dimension: headDimension)
        offsets = (0..<key.heads).map { $0 * headBytes }
        numbers = try AlignedBuffer(extents: key.heads, headBytes, of: "keys in eight bits")
        scales = try AlignedBuffer(extents: key.heads, Self.groups(keys: count, group: Self.scaleKeys), of: "scales of keys")
        pack(key, pool: kernel.pool)
    }

    /// Packs parts of heads, whose places in `parts` are their numbers here. Traps when the system does not give the memory.
    ///
    /// Shapes: as the other initialiser.
    package init(_ key: HeadTensor, parts: [Part], kernel: AttentionKernel) {
        (self.parts, count, headDimension) = (parts, key.tokens, key.dimension)
        kernels = kernel.table
        var (offsets, end) = ([Int](), 0)
        for part in parts {
            offsets.append(end)
            end += kernels.int8Bytes(keys: count, dimension: part.coordinates?.count ?? headDimension)
        }
        self.offsets = offsets
        numbers = AlignedBuffer(count: end)
        scales = AlignedBuffer(count: parts.count * Self.groups(keys: count, group: Self.scaleKeys))
        pack(key, pool: kernel.pool)
    }

    private func pack(_ key: HeadTensor, pool: WorkerPool) {
        let units = 32, unit = Int(SA_INT8_KEYS), piece = units * unit
        let pieces = (count + piece - 1) / piece
        let (numbers, scales) = (SharedPointer(numbers.base), SharedPointer(scales.base))
        let gathered = largestGather
        let room = AlignedBuffer<Float>(count: pool.threads * unit * gathered)
        let rooms = SharedPointer(room.base)
        pool.run(heads * pieces) { [parts, count, offsets, kernels, scaleCount] worker, index in
            let (number, piece) = (index / pieces, index % pieces * piece..<min(count, index % pieces * piece + piece))
            let (part, dimension) = (parts[number], dimension(head: number))
            // A unit at a time where it has to be gathered.
            let together = part.coordinates == nil ? piece.count : unit
            for first in stride(from: piece.lowerBound, to: piece.upperBound, by: together) {
                let keys = min(together, piece.upperBound - first)
                let rows = Rows(base: key.row(head: part.head, token: first), stride: key.tokenStride)
                    .gathered(part.coordinates, count: keys, into: rooms.base + worker * unit * gathered)
                kernels.functions.pack_int8_keys(
                    rows.base, rows.stride, Int32(keys), Int32(dimension),
                    numbers.base + offsets[number] + kernels.int8Bytes(keys: first, dimension: dimension),
                    scales.base + number * scaleCount + first / Self.scaleKeys)
            }
        }
    }

    /// Scales of a packed head.
    private var scaleCount: Int { Self.groups(keys: count, group: Self.scaleKeys) }

    /// Coordinates of a packed head.
    fileprivate func dimension(head: Int) -> Int { parts[head].coordinates?.count ?? headDimension }

    /// Of any head.
    fileprivate var largestDimension: Int { parts.indices.map { dimension(head: $0) }.max() ?? 0 }
    /// Of any head that leaves out some; 0 of none.
    fileprivate var largestGather: Int { parts.compactMap { $0.coordinates?.count }.max() ?? 0 }

    /// Groups that `keys` keys make, the last one as short as it comes.
    package static func groups(keys: Int, group: Int) -> Int { (keys + group - 1) / group }

    /// The largest score of each query in each group of neighbouring keys, over a head's first `keys` keys; with a group of 1 the scores.
    ///
    /// Shapes: output [groups][`KernelTable.lanes`]; lanes past the packed rows are rows of zeros.
    /// Units: products of queries and keys as they are, q · k.
    /// Keys that are not finite are passed over with the others that have their scale, and the maximum of no key is −∞ times the query's
    /// scale; a query that is not finite has only NaN.
    /// Complexity: `KernelTable.lanes` · keys · coordinates multiply-adds. Runs on the calling thread.
    ///
    /// - Parameters:
    ///   - queries: packed for this head.
    ///   - group: keys of a group: 1, or a multiple of `scaleKeys`.
    package func maxima(of queries: Int8Queries, head: Int, keys: Int, group: Int, into output: UnsafeMutablePointer<Float>) {
        precondition((0..<heads).contains(head) && (0...count).contains(keys), "head and keys must be packed ones")
        precondition(queries.coordinates == parts[head].coordinates, "queries and keys must be of the same coordinates")
        precondition(group == 1 || group > 0 && group % Self.scaleKeys == 0, "groups have one key or whole scales")
        kernels.functions.int8_maxima(
            queries.numbers.base, queries.scales.base, numbers.base + offsets[head], scales.base + head * scaleCount, Int32(keys),
            Int32(dimension(head: head)), Int32(group), output)
    }
}

/// Room for a block of queries in eight bits; one thread at a time fills and uses it.
package final class Int8Queries: @unchecked Sendable {
    private let keys: Int8Keys
    /// Of the packed rows.
    fileprivate private(set) var coordinates: [Int]?
    fileprivate let numbers: AlignedBuffer<UInt8>
    fileprivate let scales = AlignedBuffer<Float>(count: KernelTable.lanes)
    private let room: AlignedBuffer<Float>

    /// For queries that are scored with these keys.
    package init(for keys: Int8Keys) {
        self.keys = keys
        numbers = AlignedBuffer(count: Int(keys.kernels.functions.int8_query_bytes(Int32(keys.largestDimension))))
        room = AlignedBuffer(count: KernelTable.lanes * keys.largestGather)
    }

    /// Takes up to `KernelTable.lanes` rows, one a lane, in the coordinates of a packed head.
    ///
    /// Shapes: rows [count][d], `stride` floats from one to the next.
    package func pack(_ rows: UnsafePointer<Float>, stride: Int, count: Int, head: Int) {
        precondition((0...KernelTable.lanes).contains(count), "a block holds so many rows")
        coordinates = keys.parts[head].coordinates
        let rows = Rows(base: rows, stride: stride).gathered(coordinates, count: count, into: room.base)
        keys.kernels.functions.pack_int8_queries(
            rows.base, rows.stride, Int32(count), Int32(keys.dimension(head: head)), numbers.base, scales.base)
    }
}

/// Rows of a tensor, `stride` floats from one to the next.
private struct Rows {
    let base: UnsafePointer<Float>
    let stride: Int

    /// The same in some coordinates, next to each other in `room`; as they are for nil.
    func gathered(_ coordinates: [Int]?, count: Int, into room: UnsafeMutablePointer<Float>) -> Rows {
        guard let coordinates else { return self }
        coordinates.withUnsafeBufferPointer { chosen in
            for row in 0..<count {
                let (from, to) = (base + row * stride, room + row * chosen.count)
                for index in chosen.indices { to[index] = from[chosen[index]] }
            }
        }
        return Rows(base: room, stride: coordinates.count)
    }
}

extension KernelTable {
    /// Bytes of so many packed keys, and in front of the next one where they are whole units of `SA_INT8_KEYS`.
    fileprivate func int8Bytes(keys: Int, dimension: Int) -> Int { Int(functions.int8_key_bytes(keys, Int32(dimension))) }
}
