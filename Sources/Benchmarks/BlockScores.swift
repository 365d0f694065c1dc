import AttentionCore
import AttentionKernels
import Parallelism

/// The scores of causal blocks of query rows in one kind of operands.
protocol BlockScores: Sendable {
    /// Packs the keys of all heads, on all threads.
    mutating func packKeys() throws(InputError)

    /// Scores a block in a worker's own room.
    func score(_ block: ScoredBlock, worker: Int)

    /// The largest score of each row in each group of keys, [row][group]; one call at a time.
    func maxima(_ block: ScoredBlock) -> [[Float]]
}

/// Up to `KernelTable.lanes` query rows of a head, against the keys up to the last of them.
struct ScoredBlock {
    let head, keyValueHead: Int
    let rows: Range<Int>
    /// How many, from the first on.
    let keys: Int

    /// All of a shape, the longest first.
    static func all(_ shape: AttentionShape) -> [ScoredBlock] {
        stride(from: 0, to: shape.queryCount, by: KernelTable.lanes).reversed().flatMap { first in
            (0..<shape.queryHeads).map { head in
                let end = min(first + KernelTable.lanes, shape.queryCount)
                return ScoredBlock(
                    head: head, keyValueHead: shape.keyValueHead(of: head), rows: first..<end, keys: shape.firstPosition + end)
            }
        }
    }
}

/// In eight bits: the maxima themselves.
struct Int8BlockScores: BlockScores {
    private let query, key: HeadTensor
    private let kernel: AttentionKernel
    private let group: Int
    private var keys: Int8Keys
    private let queries: [Int8Queries]
    private let rooms: WorkerRooms

    init(query: HeadTensor, key: HeadTensor, kernel: AttentionKernel, group: Int) throws(InputError) {
        (self.query, self.key, self.kernel, self.group) = (query, key, kernel, group)
        let keys = try Int8Keys(key, kernel: kernel)
        self.keys = keys
        queries = (0..<kernel.pool.threads).map { _ in Int8Queries(for: keys) }
        rooms = try WorkerRooms(
            workers: kernel.pool.threads, floats: Int8Keys.groups(keys: key.tokens, group: group) * KernelTable.lanes)
    }

    mutating func packKeys() throws(InputError) { keys = try Int8Keys(key, kernel: kernel) }

    func score(_ block: ScoredBlock, worker: Int) {
        queries[worker].pack(
            query.row(head: block.head, token: block.rows.lowerBound), stride: query.tokenStride, count: block.rows.count,
            head: block.keyValueHead)
        keys.maxima(of: queries[worker], head: block.keyValueHead, keys: block.keys, group: group, into: rooms[worker])
    }

    func maxima(_ block: ScoredBlock) -> [[Float]] {
        score(block, worker: 0)
        let groups = Int8Keys.groups(keys: block.keys, group: group)
        return (0..<block.rows.count).map { lane in (0..<groups).map { rooms[0][$0 * KernelTable.lanes + lane] } }
    }
}

/// By the products of a kernel's precision, a tile of keys at a time: scores alone, which stay in the cache.
struct ProductBlockScores: BlockScores {
    private let query, key: HeadTensor
    private let kernel: AttentionKernel
    private let group: Int
    private var matrices: [PackedMatrix] = []
    /// [row][d], the same packed, and [row][tileKeys] of scores.
    private let rooms: WorkerRooms

    init(query: HeadTensor, key: HeadTensor, kernel: AttentionKernel, group: Int) throws(InputError) {
        (self.query, self.key, self.kernel, self.group) = (query, key, kernel, group)
        rooms = try WorkerRooms(
            workers: kernel.pool.threads, floats: KernelTable.lanes * (2 * query.dimension + KernelTable.tileKeys))
        try packKeys()
    }

    mutating func packKeys() throws(InputError) {
        matrices.removeAll()
        for head in 0..<key.heads {
            matrices.append(
                try PackedMatrix(outputs: key.tokens, inputs: key.dimension, kernel: kernel) { [key] tokens, room in
                    key.copy(head: head, tokens, into: room)
                })
        }
    }

    func score(_ block: ScoredBlock, worker: Int) { scoreTiles(block, worker: worker) { _, _ in } }

    func maxima(_ block: ScoredBlock) -> [[Float]] {
        let groups = Int8Keys.groups(keys: block.keys, group: group)
        var maxima = [[Float]](repeating: [Float](repeating: -.infinity, count: groups), count: block.rows.count)
        scoreTiles(block, worker: 0) { keys, scores in
            for row in 0..<block.rows.count {
                for key in keys {
                    let score = scores[row * KernelTable.tileKeys + key - keys.lowerBound]
                    maxima[row][key / group] = max(maxima[row][key / group], score)
                }
            }
        }
        return maxima
    }

    /// - Parameter visit: sees each tile's scores, [row][tileKeys].
    private func scoreTiles(_ block: ScoredBlock, worker: Int, visit: (_ keys: Range<Int>, _ scores: UnsafePointer<Float>) -> Void) {
        let (count, dimension) = (block.rows.count, query.dimension)
        let rows = rooms[worker], packed = rows + KernelTable.lanes * dimension, scores = packed + KernelTable.lanes * dimension
        query.copy(head: block.head, block.rows, into: rows)
        let operand = kernel.packed(rows, rows: count, inputs: dimension, room: packed)
        for first in stride(from: 0, to: block.keys, by: KernelTable.tileKeys) {
            let keys = first..<min(first + KernelTable.tileKeys, block.keys)
            kernel.multiply(operand, matrices[block.keyValueHead], outputs: keys, into: scores, stride: KernelTable.tileKeys)
            visit(keys, scores)
        }
    }
}

/// Memory of their own for each worker of a pool.
private final class WorkerRooms: Sendable {
    private let all: AlignedBuffer<Float>
    private let floats: Int

    init(workers: Int, floats: Int) throws(InputError) {
        // Whole cache lines, which no two workers share.
        self.floats = (floats + 15) / 16 * 16
        all = try AlignedBuffer(extents: workers, self.floats, of: "rooms of \(workers) threads")
    }

    subscript(worker: Int) -> UnsafeMutablePointer<Float> { all.base + worker * floats }
}

extension HeadTensor {
    /// Some rows of a head next to each other.
    fileprivate func copy(head: Int, _ tokens: Range<Int>, into room: UnsafeMutablePointer<Float>) {
        for (index, token) in tokens.enumerated() {
            (room + index * dimension).update(from: row(head: head, token: token), count: dimension)
        }
    }
}
