import AttentionCore
import LinearAlgebra

/// The gate of MoBA for one head's keys: blocks of them, each known by its mean.
struct MeanGate: Sendable {
    private let blockTokens: Int
    private let dimension: Int
    /// [whole block][dimension]; the last block, where it is not full, is nobody's earlier block.
    private let means: [Float]

    init(_ keys: HeadTensor, blockTokens: Int) {
        let d = keys.dimension
        (self.blockTokens, dimension) = (blockTokens, d)
        var means = [Float](repeating: 0, count: keys.tokens / blockTokens * d)
        means.withUnsafeMutableBufferPointer { means in
            for block in 0..<keys.tokens / blockTokens {
                for token in block * blockTokens..<(block + 1) * blockTokens {
                    let key = keys.row(head: 0, token: token)
                    for t in 0..<d { means[block * d + t] += key[t] }
                }
            }
            for index in means.indices { means[index] /= Float(blockTokens) }
        }
        self.means = means
    }

    /// Which rows choose each block in the first place, in the second, and so on: [place][block] the query indices, ascending. A gate
    /// that is no number is never chosen.
    ///
    /// - Parameters:
    ///   - query: one head, whose first row stands at `firstPosition`.
    ///   - counts: [block], how many of the blocks before it a row of the block chooses.
    func choices(_ query: HeadTensor, firstPosition: Int, counts: [Int]) -> [[[Int32]]] {
        let blocks = counts.count
        var chosen = [[[Int32]]](repeating: Array(repeating: [], count: blocks), count: counts.max() ?? 0)
        // Few enough rows for their gates to stay in the cache.
        let most = 64
        let gates = AlignedBuffer<Float>(count: most * blocks)
        var token = 0
        while token < query.tokens {
            let block = (firstPosition + token) / blockTokens
            let end = min(query.tokens, token + most, (block + 1) * blockTokens - firstPosition)
            if counts[block] > 0 {
                means.withUnsafeBufferPointer {
                    MatrixProduct.multiply(
                        rows: end - token, columns: block, inner: dimension, a: query.row(head: 0, token: token),
                        aStride: query.tokenStride, b: $0.baseAddress!, bStride: dimension, transposedB: true, into: gates.base,
                        cStride: block)
                }
                for row in token..<end {
                    let own = UnsafeMutableBufferPointer(start: gates.base + (row - token) * block, count: block)
                    for place in 0..<counts[block] {
                        guard let best = Self.takeLargest(of: own) else { break }
                        chosen[place][best].append(Int32(row))
                    }
                }
            }
            token = end
        }
        return chosen
    }

    /// The place of the largest number, which is −∞ afterwards; nil where none is left.
    private static func takeLargest(of gates: UnsafeMutableBufferPointer<Float>) -> Int? {
        var (best, place): (Float, Int?) = (-.infinity, nil)
        for index in gates.indices where gates[index] > best { (best, place) = (gates[index], index) }
        if let place { gates[place] = -.infinity }
        return place
    }
}
