import AttentionCore

/// Mean vectors of the 128-token blocks of one head's rows.
struct BlockMeans: Sendable {
    /// The blocks that hold any row, counted from position 0.
    let blocks: Range<Int>
    /// [block − blocks.lowerBound][dimension].
    private let means: [[Float]]

    /// - Parameters:
    ///   - rows: one head, [token][dimension].
    ///   - firstPosition: where its first token stands.
    init(_ rows: HeadTensor, firstPosition: Int) {
        let size = BlockMask.blockSize
        let end = firstPosition + rows.tokens
        blocks = firstPosition / size..<(end + size - 1) / size
        means = blocks.map { block in
            let own = max(firstPosition, block * size)..<min(end, (block + 1) * size)
            var mean = [Float](repeating: 0, count: rows.dimension)
            for position in own {
                let row = rows.row(head: 0, token: position - firstPosition)
                for t in 0..<rows.dimension { mean[t] += row[t] }
            }
            return mean.map { $0 / Float(own.count) }
        }
    }

    subscript(block: Int) -> [Float] { means[block - blocks.lowerBound] }

    /// softmax over key blocks `0 ... block` of q̄ · k̄ / √d.
    func attention(of block: Int, over keys: BlockMeans) -> [Double] {
        let query = self[block]
        let scale = 1 / Double(query.count).squareRoot()
        let scores = (0...block).map { key in zip(query, keys[key]).reduce(0.0) { $0 + Double($1.0 * $1.1) } * scale }
        let highest = scores.max()!
        let powers = scores.map { exponential($0 - highest) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }
}
