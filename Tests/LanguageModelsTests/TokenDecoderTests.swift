import AttentionCore
import AttentionKernels
import AttentionTestSupport
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

@Suite struct TokenDecoderTests {
    private static let tokens = (0..<700).map { Int32($0 * 7 % 256) }

    private static func difference(_ a: [Float], _ b: [Float]) -> Float {
        zip(a, b).reduce(0) { Float(worse(Double($0), Double(abs($1.0 - $1.1)))) } / b.map(abs).max()!
    }

    private static func model(_ scratch: Scratch, precision: Precision = .fp32) throws -> LanguageModel {
        var shape = TinyModel.Shape(layers: 2, positions: 1024)
        (shape.queryHeads, shape.keyValueHeads, shape.headDimension) = (6, 2, 10)
        let tiny = try TinyModel(scratch, shape: shape)
        try tiny.write()
        return try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(precision: precision, pool: WorkerPool(threads: 2)))
    }

    /// Step by step the scores are those of a prefill of one token on the same cache, in every format.
    @Test(arguments: KeyValueCache.Format.allCases, Precision.allCases)
    func stepsAreOneTokenPrefills(format: KeyValueCache.Format, precision: Precision) throws {
        let model = try Self.model(Scratch(), precision: precision)
        func filled() throws -> KeyValueCache {
            try model.prefill(Array(Self.tokens[..<600]), newPositions: 100, policy: .dense, settings: .init(format: format)).cache
        }
        let prefilled = try filled()
        let decoder = try TokenDecoder(model: model, cache: filled())
        for token in Self.tokens[600...] {
            try decoder.append(token)
            let expected = try model.prefill([token], cache: prefilled, policy: .dense).logits
            #expect(Self.difference(decoder.logits, expected) < (precision == .fp32 ? 1e-5 : 1e-2))
        }
        #expect(decoder.cache.count == 700 && decoder.cache.position == 700 && decoder.attentionSeconds > 0)
        // The last position of a whole prefill; what rounding rows does to it is far more than what the order of sums does.
        let whole = try model.prefill(Self.tokens, newPositions: 0, policy: .dense, settings: .init(format: format)).prefill.logits
        #expect(Self.difference(decoder.logits, whole) < (precision == .bf16 ? 0.05 : format == .fp32 ? 1e-5 : 1e-2))
    }

    /// What is taken back leaves no trace, and an evicted cache goes on at its own positions.
    @Test func positionsThatAreRemovedAreForgotten() throws {
        let model = try Self.model(Scratch())
        let decoder = try TokenDecoder(
            model: model, cache: model.prefill(Array(Self.tokens[..<100]), newPositions: 5, policy: .dense).cache)
        try decoder.append(7)
        let first = decoder.logits
        for token in [9, 11, 200] { try decoder.append(Int32(token)) }
        #expect(decoder.logits != first && decoder.cache.position == 104)
        decoder.cache.removeLast(4)
        try decoder.append(7)
        #expect(decoder.logits == first && decoder.cache.count == 101)
    }

    @Test func refusesWhatDoesNotFit() throws {
        let model = try Self.model(Scratch())
        let (_, cache) = try model.prefill([1, 2, 3], newPositions: 1, policy: .dense)
        let decoder = try TokenDecoder(model: model, cache: cache)
        for token in [-1, 257] as [Int32] { #expect(throws: InputError.self) { try decoder.append(token) } }
        try decoder.append(4)
        let full = try #require(throws: InputError.self) { try decoder.append(5) }
        #expect(full.rule.contains("must fit the cache of 4"), "\(full)")
        #expect(cache.count == 4)
    }

    /// Rows that are not finite are told of when they are read, whatever format keeps them.
    @Test(arguments: KeyValueCache.Format.allCases) func rowsThatOverflowAreRefused(format: KeyValueCache.Format) throws {
        // The key of one token overflows, of no other: only this token has the first dimension.
        let tiny = try TinyModel(Scratch())
        for index in tiny.tensors.indices {
            if tiny.tensors[index].name.contains("embed_tokens") {
                for token in 0..<257 { tiny.tensors[index].values[token * 16] = token == 200 ? 1 : 0 }
            }
            if tiny.tensors[index].name.contains("k_proj") {
                for output in 0..<8 { tiny.tensors[index].values[output * 16] = 3e38 }
            }
        }
        try tiny.write()
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let (_, cache) = try model.prefill([1, 2, 3], newPositions: 3, policy: .dense, settings: .init(format: format))
        let decoder = try TokenDecoder(model: model, cache: cache)
        try decoder.append(4)
        let error = try #require(throws: InputError.self) { try decoder.append(200) }
        #expect(error.code == .invalidData && error.field == "hidden state of token 4", "\(error)")
    }
}
