import AttentionCore
import AttentionKernels
import Parallelism

/// Stage 1 of heads with key blocks: scores all rows in eight bits and ranks blocks of keys by their largest score.
///
/// A row counts in the blocks of which it has reached every key that is scored, so that no score of a later key has a say; with windows of
/// 64 positions or more that is every row; only how a key is rounded depends on those that have its scale, some of them later. Neither a
/// key that is not finite nor those are chosen for their own sake (`Int8Keys`). Scores are made of all d coordinates of a head, or of the
/// c that `ScoredCoordinates` chooses.
///
/// Memory: c bytes a key and a quarter for its scale for each key-value head in use, as often as its query heads have different
/// coordinates, and for each thread 256 bytes a key block.
/// Complexity: Σ over query blocks of 64 · keys before the window · c multiply-adds of eight bits a head.
struct KeyBlockScoring {
    private let inputs: LayerInputs
    private let promptLength: Int
    private let kernel: AttentionKernel

    init(_ inputs: LayerInputs, promptLength: Int, kernel: AttentionKernel) {
        precondition(SampledScores.lanesPerBlock == WindowKeyBlocks.queryBlockRows, "a query block is what is scored at once")
        self.inputs = inputs
        self.promptLength = promptLength
        self.kernel = kernel
    }

    /// One query head that is asked for.
    private struct Request: Sendable {
        let head: Int
        /// Coordinates that are scored.
        let coordinates: Int
        let geometry: KeyBlockGeometry
        let depth: Int
        /// Where its ranking stands among all requests'.
        let offset: Int
    }

    /// The ranking of each request, the same whatever the number of threads.
    func rankings(_ asked: [(head: Int, parameters: SampleAttentionParameters)]) -> [KeyBlockRanking] {
        let shape = inputs.shape
        var (requests, length) = ([Request](), 0)
        for (head, parameters) in asked {
            let geometry = KeyBlockGeometry(parameters, shape: shape, promptLength: promptLength)
            let depth = min(KeyBlockRanking.depth(count: parameters.keyBlockCount), geometry.mostKeyBlocks.count)
            requests.append(
                Request(
                    head: head, coordinates: parameters.scoredCoordinates(of: shape.headDimension), geometry: geometry, depth: depth,
                    offset: length))
            length += geometry.queryBlocks.count * depth
        }
        let ranked = AlignedBuffer<Int32>(count: length)
        if length > 0 { rank(requests.filter { $0.depth > 0 }, into: ranked.base) }
        return requests.map { request in
            let blocks = request.geometry.queryBlocks
            return KeyBlockRanking(
                blockTokens: request.geometry.blockTokens, queryBlocks: blocks, depth: request.depth,
                blocks: Array(ranked.elements[request.offset..<request.offset + blocks.count * request.depth]))
        }
    }

    private func rank(_ requests: [Request], into ranked: UnsafeMutablePointer<Int32>) {
        let chosen = ScoredCoordinates(inputs, pool: kernel.pool).chosen(requests.map { ($0.head, $0.coordinates) })
        let parts = zip(requests, chosen).map { Int8Keys.Part(head: inputs.shape.keyValueHead(of: $0.head), coordinates: $1) }
        // Heads with the same keys in the same coordinates share them.
        var (distinct, numbers) = ([Int8Keys.Part](), [Int8Keys.Part: Int]())
        for part in parts where numbers[part] == nil {
            numbers[part] = distinct.count
            distinct.append(part)
        }
        let packedHeads = parts.map { numbers[$0]! }
        let keys = Int8Keys(inputs.key, parts: distinct, kernel: kernel)
        // Head by head, for its keys stay in the cache; the last blocks of each first, for they have the most keys.
        let tasks = requests.indices.flatMap { request in
            requests[request].geometry.queryBlocks.reversed().map { (request: request, queryBlock: $0) }
        }
        let mostBlocks = requests.map(\.geometry.mostKeyBlocks.upperBound).max() ?? 0
        let depth = requests.map(\.depth).max() ?? 0
        let rooms = (0..<min(kernel.pool.threads, tasks.count)).map { _ in Room(keys: keys, keyBlocks: mostBlocks, depth: depth) }
        let target = SharedPointer(ranked)
        kernel.pool.run(tasks.count) { [inputs] worker, task in
            let (request, queryBlock) = (requests[tasks[task].request], tasks[task].queryBlock)
            rooms[worker].rank(
                request, packedHead: packedHeads[tasks[task].request], queryBlock: queryBlock, query: inputs.query,
                firstPosition: inputs.shape.firstPosition,
                into: target.base + request.offset + (queryBlock - request.geometry.queryBlocks.lowerBound) * request.depth)
        }
    }

    /// What one thread works in.
    private final class Room: Sendable {
        private let keys: Int8Keys
        private let queries: Int8Queries
        /// [key block][row].
        private let maxima: AlignedBuffer<Float>
        private let heaviest: AlignedBuffer<UInt64>

        init(keys: Int8Keys, keyBlocks: Int, depth: Int) {
            self.keys = keys
            queries = Int8Queries(for: keys)
            maxima = AlignedBuffer(count: keyBlocks * SampledScores.lanesPerBlock)
            heaviest = AlignedBuffer(count: depth)
        }

        /// Ranks the key blocks of one query block.
        ///
        /// - Parameters:
        ///   - packedHead: the number of its keys among those packed.
        ///   - output: [depth].
        func rank(
            _ request: Request, packedHead: Int, queryBlock: Int, query: HeadTensor, firstPosition: Int,
            into output: UnsafeMutablePointer<Int32>
        ) {
            let geometry = request.geometry
            let (rows, keyCount) = (geometry.rows(queryBlock: queryBlock), geometry.keys(queryBlock: queryBlock))
            var top = HeaviestBlocks(room: heaviest.base, capacity: request.depth)
            if keyCount > 0 {
                queries.pack(
                    query.row(head: request.head, token: rows.lowerBound - firstPosition), stride: query.tokenStride, count: rows.count,
                    head: packedHead)
                keys.maxima(of: queries, head: packedHead, keys: keyCount, group: geometry.blockTokens, into: maxima.base)
            }
            for block in geometry.keyBlocks(queryBlock: queryBlock) {
                let lastKey = min((block + 1) * geometry.blockTokens, keyCount) - 1
                let lanes = max(0, lastKey - rows.lowerBound)..<rows.count
                top.offer(score: Self.largest(maxima.base + block * SampledScores.lanesPerBlock, lanes), block: block)
            }
            top.drain(into: output, filler: KeyBlockRanking.none)
        }

        /// The largest number of some lanes; −∞ of none. What is no number is passed over.
        private static func largest(_ scores: UnsafePointer<Float>, _ lanes: Range<Int>) -> Float {
            // Four that do not wait for each other.
            var (a, b, c, d) = (-Float.infinity, -Float.infinity, -Float.infinity, -Float.infinity)
            var lane = lanes.lowerBound
            while lane + 4 <= lanes.upperBound {
                a = scores[lane] > a ? scores[lane] : a
                b = scores[lane + 1] > b ? scores[lane + 1] : b
                c = scores[lane + 2] > c ? scores[lane + 2] : c
                d = scores[lane + 3] > d ? scores[lane + 3] : d
                lane += 4
            }
            while lane < lanes.upperBound {
                a = scores[lane] > a ? scores[lane] : a
                lane += 1
            }
            return max(max(a, b), max(c, d))
        }
    }
}
