import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import Parallelism
import SampleAttention
import Testing

/// Going on from rows of a cache that another prompt has left.
@Suite struct ContinuationTests {
    private static let tokens = (0..<200).map { Int32($0 * 11 % 256) }

    private static func model(_ scratch: Scratch, positions: Int = 512, rotary: [String: Any]? = nil) throws -> LanguageModel {
        let tiny = try TinyModel(scratch, shape: TinyModel.Shape(layers: 2, positions: positions))
        if let rotary {
            tiny.configuration["rope_scaling"] = rotary
            try tiny.write()
        }
        return try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
    }

    private static func cache(_ model: LanguageModel, of length: Int, format: KeyValueCache.Format = .fp32) throws -> KeyValueCache {
        let cache = try model.makeCache(capacity: 200, format: format)
        _ = try model.prefill(Array(tokens[..<length]), cache: cache, policy: .dense)
        return cache
    }

    @Test func otherLengthsTurnNothingWithoutAScaling() throws {
        let model = try Self.model(Scratch())
        #expect(try model.canContinue(Self.cache(model, of: 100), promptLength: 500))
    }

    /// Beyond the original length every length has a base of its own.
    @Test func aDynamicBaseIsOfItsLength() throws {
        let model = try Self.model(Scratch(), positions: 100, rotary: ["rope_type": "dynamic", "factor": 4.0])
        let short = try Self.cache(model, of: 80)
        #expect(model.canContinue(short, promptLength: 100) && !model.canContinue(short, promptLength: 101))
        let long = try Self.cache(model, of: 150)
        long.removeLast(100)
        #expect(!model.canContinue(long, promptLength: 90) && !model.canContinue(long, promptLength: 151))
        #expect(model.canContinue(long, promptLength: 150))
        // Tokens that were decoded beyond it have other bases than those before.
        let decoder = try TokenDecoder(model: model, cache: short)
        for token in Self.tokens[80..<102] { try decoder.append(token) }
        short.removeLast(30)
        #expect(!model.canContinue(short, promptLength: 90) && !model.canContinue(short, promptLength: 102))
    }

    /// The first prefill's length decides the factors of all rows.
    @Test func longFactorsTakeOverOnce() throws {
        let model = try Self.model(
            Scratch(),
            rotary: [
                "rope_type": "longrope", "short_factor": [1.0, 1, 1, 1], "long_factor": [1.0, 2, 4, 8], "factor": 2.0,
                "original_max_position_embeddings": 100,
            ])
        let (short, long) = try (Self.cache(model, of: 80), Self.cache(model, of: 120))
        #expect(model.canContinue(short, promptLength: 100) && !model.canContinue(short, promptLength: 101))
        #expect(!model.canContinue(long, promptLength: 100) && model.canContinue(long, promptLength: 300))
    }

    /// A copy goes on as the cache itself does, which stays as it is.
    @Test(arguments: KeyValueCache.Format.allCases) func aCopyIsTheSame(format: KeyValueCache.Format) throws {
        let model = try Self.model(Scratch())
        let cache = try Self.cache(model, of: 90, format: format)
        let copy = try cache.copy(first: 70, capacity: 130)
        #expect(copy.count == 70 && copy.capacity == 130 && cache.count == 90)
        let own = try model.makeCache(capacity: 200, format: format)
        _ = try model.prefill(Array(Self.tokens[..<70]), cache: own, policy: .dense)
        func logits(_ cache: KeyValueCache) throws -> [Float] {
            try model.prefill(Array(Self.tokens[70..<95]), cache: cache, policy: .dense).logits
        }
        let expected = try logits(own)
        #expect(try logits(copy) == expected)
        cache.removeLast(20)
        #expect(try logits(cache) == expected)
        #expect(model.canContinue(copy, promptLength: 100))
    }
}
