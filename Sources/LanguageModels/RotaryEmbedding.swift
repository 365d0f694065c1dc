import AttentionCore
import Foundation
import ModelFormats
import Parallelism
import Synchronization

/// Cosine and sine tables of rotary position embedding, halves convention: (x_i, x_{i + d/2}) turns by position · θ_i.
///
/// θ_i = base^(−2i/d), rescaled by `rope_scaling`. Angles are rounded to FP32 before the cosine, as the reference
/// implementations do, so that long positions agree with them.
/// Source: RoFormer (arXiv 2104.09864); the llama3 rule: Llama 3.1 model card and configuration.
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
    /// Those that there are rows for: 0 ..< positions.
    package var positions: Int { blocks.count * Self.blockPositions }
    /// Keeps what the pointers point to.
    private let blocks: [Block]
    /// Of each block. Workers read them row by row: counting references to a block there would make them wait for each other.
    private let cosines, sines: [UnsafePointer<Float>]

    fileprivate init(half: Int, blocks: [Block]) {
        self.half = half
        self.blocks = blocks
        cosines = blocks.map { UnsafePointer($0.cosines.base) }
        sines = blocks.map { UnsafePointer($0.sines.base) }
    }

    package func cosine(_ position: Int) -> UnsafePointer<Float> { row(position, of: cosines) }
    package func sine(_ position: Int) -> UnsafePointer<Float> { row(position, of: sines) }

    private func row(_ position: Int, of tables: [UnsafePointer<Float>]) -> UnsafePointer<Float> {
        tables[position / Self.blockPositions] + position % Self.blockPositions * half
    }
}

/// A model's rotary embedding, which grows with the positions that are asked for and is shared by all its prompts.
package final class RotaryTable: Sendable {
    private let half: Int
    private let frequencies: [Float]
    private let blocks = Mutex<[RotaryEmbedding.Block]>([])

    package init(configuration: ModelConfiguration) {
        half = configuration.headDimension / 2
        frequencies = Self.frequencies(configuration)
    }

    /// The embedding of positions below `positions`; what is missing is computed by the pool.
    ///
    /// Complexity: O(new positions · d).
    package func embedding(positions: Int, pool: WorkerPool) -> RotaryEmbedding {
        let block = RotaryEmbedding.blockPositions
        let needed = (positions + block - 1) / block
        return blocks.withLock { blocks in
            let first = blocks.count
            if first < needed {
                let new = (first..<needed).map { _ in RotaryEmbedding.Block(half: half) }
                let piece = 64
                pool.run(new.count * block / piece) { _, index in
                    let row = index * piece
                    fill(new[row / block], rows: row % block..<row % block + piece, firstPosition: (first + row / block) * block)
                }
                blocks += new
            }
            return RotaryEmbedding(half: half, blocks: blocks)
        }
    }

    private func fill(_ block: RotaryEmbedding.Block, rows: Range<Int>, firstPosition: Int) {
        for row in rows {
            for i in 0..<half {
                let angle = Double(Float(firstPosition + row) * frequencies[i])
                block.cosines[row * half + i] = Float(cos(angle))
                block.sines[row * half + i] = Float(sin(angle))
            }
        }
    }

    package static func frequencies(_ configuration: ModelConfiguration) -> [Float] {
        let d = configuration.headDimension
        return (0..<d / 2).map { i in
            let plain = pow(configuration.rotaryBase, -Double(2 * i) / Double(d))
            switch configuration.rotaryScaling {
            case .none: return Float(plain)
            case .linear(let factor): return Float(plain / factor)
            case .llama3(let scaling): return Float(stretched(plain, scaling))
            }
        }
    }

    /// Long wavelengths are stretched by `factor`, short ones kept, and those between blended.
    private static func stretched(_ frequency: Double, _ scaling: Llama3RotaryScaling) -> Double {
        let turns = Double(scaling.originalMaximumPositions) * frequency / (2 * .pi)
        if turns < scaling.lowFrequencyFactor { return frequency / scaling.factor }
        if turns > scaling.highFrequencyFactor { return frequency }
        let blend = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
        return (1 - blend) * frequency / scaling.factor + blend * frequency
    }
}
