import AttentionCore
import Foundation
import Parallelism
import Synchronization

/// Cosine and sine tables of rotary position embedding, halves convention: (x_i, x_{i + m/2}) turns by position · θ_i, m being the
/// rotated dimensions and θ the `RotaryFrequencies`.
///
/// Angles are rounded to FP32 before the cosine, as the reference implementations do, so that long positions agree with them.
/// Source: RoFormer (arXiv 2104.09864).
package struct RotaryEmbedding: @unchecked Sendable {  // The tables are written before a value is made, and never again.
    fileprivate static let blockPositions = 1024

    /// Of consecutive positions: [position][half] each.
    fileprivate final class Block: Sendable {
        let cosines, sines: AlignedBuffer<Float>

        init(half: Int) {
            cosines = AlignedBuffer(count: RotaryEmbedding.blockPositions * half)
            sines = AlignedBuffer(count: RotaryEmbedding.blockPositions * half)
        }
    }

    package let half: Int
    private let firstBlock: Int
    /// Keeps what the pointers point to.
    private let blocks: [Block]
    /// Of each block. Workers read them row by row: counting references to a block there would make them wait for each other.
    private let cosines, sines: [UnsafePointer<Float>]

    fileprivate init(half: Int, firstBlock: Int, blocks: [Block]) {
        self.half = half
        self.firstBlock = firstBlock
        self.blocks = blocks
        cosines = blocks.map { UnsafePointer($0.cosines.base) }
        sines = blocks.map { UnsafePointer($0.sines.base) }
    }

    package func cosine(_ position: Int) -> UnsafePointer<Float> { row(position, of: cosines) }
    package func sine(_ position: Int) -> UnsafePointer<Float> { row(position, of: sines) }

    private func row(_ position: Int, of tables: [UnsafePointer<Float>]) -> UnsafePointer<Float> {
        tables[position / Self.blockPositions - firstBlock] + position % Self.blockPositions * half
    }
}

/// A rotary embedding, which grows with the positions that are asked for and is shared by all prompts of a model.
package final class RotaryTable: Sendable {
    package let description: RotaryDescription
    private let half: Int
    private let kept = Mutex<[RotaryFrequencies: [RotaryEmbedding.Block]]>([:])

    package init(_ description: RotaryDescription) {
        self.description = description
        half = description.dimensions / 2
    }

    /// True when every length has frequencies of its own, so that tables are not worth keeping.
    private func isPassing(length: Int) -> Bool {
        if case .dynamic(_, let original) = description.scaling { length > original } else { false }
    }

    /// The embedding of some positions of a sequence of `length` tokens; what is missing is computed by the pool.
    ///
    /// Complexity: O(new positions · dimensions).
    package func embedding(positions: Range<Int>, length: Int, pool: WorkerPool) -> RotaryEmbedding {
        let frequencies = RotaryFrequencies(description, length: length)
        let block = RotaryEmbedding.blockPositions
        let needed = (positions.upperBound + block - 1) / block
        if isPassing(length: length) {
            let first = positions.lowerBound / block
            let blocks = (first..<needed).map { _ in RotaryEmbedding.Block(half: half) }
            fill(blocks, firstBlock: first, positions: positions, frequencies, pool: pool)
            return RotaryEmbedding(half: half, firstBlock: first, blocks: blocks)
        }
        return kept.withLock { kept in
            var blocks = kept[frequencies] ?? []
            let first = blocks.count
            if first < needed {
                let new = (first..<needed).map { _ in RotaryEmbedding.Block(half: half) }
                fill(new, firstBlock: first, positions: first * block..<needed * block, frequencies, pool: pool)
                blocks += new
                kept[frequencies] = blocks
            }
            return RotaryEmbedding(half: half, firstBlock: 0, blocks: blocks)
        }
    }

    private func fill(
        _ blocks: [RotaryEmbedding.Block], firstBlock: Int, positions: Range<Int>, _ frequencies: RotaryFrequencies, pool: WorkerPool
    ) {
        let piece = 64
        let first = firstBlock * RotaryEmbedding.blockPositions
        pool.run((positions.count + piece - 1) / piece) { _, index in
            let start = positions.lowerBound + index * piece
            for position in start..<min(start + piece, positions.upperBound) {
                let block = blocks[(position - first) / RotaryEmbedding.blockPositions]
                let row = position % RotaryEmbedding.blockPositions * half
                for i in 0..<half {
                    let angle = Double(Float(position) * frequencies.values[i])
                    block.cosines[row + i] = Float(cos(angle) * frequencies.magnitude)
                    block.sines[row + i] = Float(sin(angle) * frequencies.magnitude)
                }
            }
        }
    }
}
