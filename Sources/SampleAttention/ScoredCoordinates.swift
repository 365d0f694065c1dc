import AttentionCore
import Parallelism

/// The coordinates of heads that scores of key blocks are made of: those with the largest E[q²] · E[k²] in a call's own queries and keys.
///
/// A product of coordinates whose numbers are small on either side moves a score little, so that the largest scores mostly stay the
/// largest without it. No map has to be fitted or kept, and no row is read twice. Chunks of a prompt may choose differently.
package struct ScoredCoordinates {
    /// Rows of a tensor that are looked at, at equal strides.
    package static let mostRows = 2048

    private let inputs: LayerInputs
    private let pool: WorkerPool

    package init(_ inputs: LayerInputs, pool: WorkerPool) { (self.inputs, self.pool) = (inputs, pool) }

    /// The coordinates of each query head, ascending; nil for all of them.
    ///
    /// Complexity: O(2048 · d) for each query head that leaves out any, and for each key-value head of these.
    ///
    /// - Parameter asked: heads, and how many coordinates each wants.
    package func chosen(_ asked: [(head: Int, count: Int)]) -> [[Int]?] {
        let (shape, partial) = (inputs.shape, asked.filter { $0.count < inputs.shape.headDimension })
        let heads = Set(partial.map(\.head)).sorted(), keyHeads = Set(heads.map { shape.keyValueHead(of: $0) }).sorted()
        let energies = energies(heads.map { (inputs.query, $0) } + keyHeads.map { (inputs.key, $0) })
        let ofQueries = Dictionary(uniqueKeysWithValues: zip(heads, energies))
        let ofKeys = Dictionary(uniqueKeysWithValues: zip(keyHeads, energies[heads.count...]))
        return asked.map { head, count in
            guard let queries = ofQueries[head], count < shape.headDimension else { return nil }
            return Self.largest(count, of: zip(queries, ofKeys[shape.keyValueHead(of: head)]!).map { $0 * $1 })
        }
    }

    /// Σ x² of each coordinate over rows of each head, [head][d]: the same whatever the number of threads.
    private func energies(_ heads: [(tensor: HeadTensor, head: Int)]) -> [[Double]] {
        let dimension = inputs.shape.headDimension
        let sums = AlignedBuffer<Double>(count: heads.count * dimension)
        let room = SharedPointer(sums.base)
        pool.run(heads.count) { _, index in
            let (tensor, head) = heads[index]
            let own = room.base + index * dimension
            own.update(repeating: 0, count: dimension)
            let rows = min(tensor.tokens, Self.mostRows)
            for row in 0..<rows {
                let numbers = tensor.row(head: head, token: row * tensor.tokens / rows)
                for t in 0..<dimension { own[t] += Double(numbers[t]) * Double(numbers[t]) }
            }
        }
        return heads.indices.map { Array(sums.elements[$0 * dimension..<($0 + 1) * dimension]) }
    }

    /// The places of the largest energies, ascending: ties go to the lower place, and what is not finite comes last.
    package static func largest(_ count: Int, of energies: [Double]) -> [Int] {
        let known = energies.map { $0.isFinite ? $0 : -1 }
        return known.indices.sorted { (known[$1], $0) < (known[$0], $1) }.prefix(count).sorted()
    }
}
