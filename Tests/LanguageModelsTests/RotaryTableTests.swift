import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import Testing

/// A model's rotary table grows with what is asked of it, and never changes what it held.
@Suite struct RotaryTableTests {
    private let rotary: RotaryDescription

    init() throws {
        let tiny = try TinyModel(Scratch())
        rotary = try #require(DecoderDescription(modelAt: tiny.path).layers[0].attention.rotary)
    }

    /// cos and sin of position · θ_i, the angle in FP32, at the borders of the table's blocks and in between.
    @Test func holdsCosineAndSine() {
        let table = RotaryTable(rotary)
        let embedding = table.embedding(positions: 0..<5000, length: 5000, pool: WorkerPool(threads: 2))
        let frequencies = RotaryFrequencies(rotary, length: 5000).values
        for position in [0, 1, 63, 64, 1023, 1024, 1025, 4095, 4096, 4999] {
            for i in frequencies.indices {
                let angle = Double(Float(position) * frequencies[i])
                #expect(embedding.cosine(position)[i] == Float(cos(angle)) && embedding.sine(position)[i] == Float(sin(angle)))
            }
        }
    }

    /// What was computed for one prompt is not computed for the next, and stays where it is while the table grows.
    @Test func growsAndIsShared() {
        let table = RotaryTable(rotary)
        let pool = WorkerPool(threads: 2)
        let small = table.embedding(positions: 0..<10, length: 10, pool: pool)
        let large = table.embedding(positions: 0..<3000, length: 3000, pool: pool)
        #expect(small.cosine(9) == large.cosine(9) && small.sine(9) == large.sine(9))
        #expect(table.embedding(positions: 0..<3000, length: 3000, pool: pool).cosine(2999) == large.cosine(2999))
    }

    /// Prompts that begin at once wait for one table.
    @Test func severalPromptsGrowItAtOnce() async {
        let table = RotaryTable(rotary)
        let addresses = await withTaskGroup(of: Int.self) { group in
            for index in 0..<8 {
                group.addTask {
                    Int(
                        bitPattern: table.embedding(
                            positions: 0..<2000 + 100 * index, length: 2000 + 100 * index, pool: WorkerPool(threads: 1)
                        ).cosine(1999))
                }
            }
            return await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(addresses.count == 1)
    }
}
