import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import LanguageModels
import Parallelism
import SampleAttention
import Testing

/// Weights and hidden states that are finite, and scores that are not.
@Suite struct FiniteScoreTests {
    private static let tokens = (0..<40).map { Int32($0 * 7 % 256) }

    /// - Parameter head: the output matrix, from its random values.
    private func model(_ scratch: Scratch, head: (Int, Float) -> Float) throws -> LanguageModel {
        var shape = TinyModel.Shape()
        shape.tied = false
        let tiny = try TinyModel(scratch, shape: shape)
        let index = try #require(tiny.tensors.firstIndex { $0.name == "lm_head.weight" })
        tiny.tensors[index].values = tiny.tensors[index].values.enumerated().map(head)
        try tiny.write()
        return try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
    }

    /// What every way to scores says of them.
    private func failures(_ model: LanguageModel) throws -> [InputError] {
        let dense = try PrefillTrace(Self.tokens, model: model, policy: .dense, probedFrom: 0)
        let runs: [() throws -> Void] = [
            { _ = try model.score(Self.tokens, policy: .dense, chunk: 7) }, { _ = try dense.divergence(from: dense) },
            { _ = try dense.probe(.dense, from: 0, against: dense) },
        ]
        return try runs.map { run in try #require(throws: InputError.self) { try run() } }
    }

    @Test func scoresThatOverflowAreRefused() throws {
        let scratch = try Scratch()
        // One token's scores alone overflow: all others look sound.
        let model = try model(scratch) { $0 / 16 == 200 ? $1.sign == .minus ? -3e38 : 3e38 : $1 }
        let cache = try model.makeCache(capacity: Self.tokens.count)
        let prefill = try #require(throws: InputError.self) {
            for token in Self.tokens { _ = try model.prefill([token], cache: cache, policy: .dense) }
        }
        let decoder = try TokenDecoder(model: model, cache: model.makeCache(capacity: Self.tokens.count))
        let decoded = try #require(throws: InputError.self) { for token in Self.tokens { try decoder.append(token) } }
        for error in try failures(model) + [prefill, decoded] {
            #expect(error.code == .invalidData && error.file == scratch.file("model"), "\(error)")
            #expect(error.field?.hasPrefix("score of token 200 after token ") ?? false, "\(error)")
        }
        // The position is the prompt's, not the call's.
        let scored = try #require(throws: InputError.self) { try model.score(Self.tokens, policy: .dense, chunk: 7) }
        #expect(prefill.field == scored.field && decoded.field == scored.field)
    }

    /// Scores that are numbers, of which the logarithm of a probability is none.
    @Test func probabilitiesThatOverflowAreRefused() throws {
        // With a matrix of ones every score is the sum of the hidden state.
        let ones = try model(Scratch()) { _, _ in 1 }
        let cache = try ones.makeCache(capacity: Self.tokens.count)
        let sums = try Self.tokens.dropLast().map { try ones.prefill([$0], cache: cache, policy: .dense).logits[0] }
        let place = try #require(sums.indices.max { abs(sums[$0]) < abs(sums[$1]) })
        // Even tokens get one score and odd ones its negative; where it is largest, the next token has the negative one.
        let score = 3e38 / sums[place] * (Self.tokens[place + 1] % 2 == 0 ? -1 : 1)
        let model = try model(Scratch()) { index, _ in index / 16 % 2 == 0 ? score : -score }
        _ = try model.prefill(Self.tokens, cache: model.makeCache(capacity: Self.tokens.count), policy: .dense)
        for error in try failures(model) {
            #expect(error.code == .invalidData && error.rule.contains("must be finite"), "\(error)")
        }
    }

    /// Two prefills at once under one policy whose layers share: the second runs in the middle of the first.
    @Test func prefillsAtOnceDoNotMix() throws {
        var shape = TinyModel.Shape()
        shape.layers = 4
        let tiny = try TinyModel(Scratch(), shape: shape)
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        var parameters = SampleAttentionParameters.standard
        parameters.alpha = try Fraction(0.3)
        parameters.window = .tokens(4)
        parameters.sampleRatio = .one
        parameters.denseLastRows = 0
        let policy = AttentionPolicy(name: "shared", method: SharedSelection(.layers(2), parameters: parameters))
        let first = (0..<300).map { Int32($0 * 7 % 256) }
        let second = (0..<300).map { Int32($0 * 31 % 251) }
        func prefill(_ tokens: [Int32], _ tap: @escaping (Int) throws -> Void = { _ in }) throws -> [Float] {
            var tap = AttentionTap { try tap($0.layer) }
            return try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: policy, observer: &tap).logits
        }
        let alone = (try prefill(first), try prefill(second))
        var nested: [[Float]] = []
        let mixed = try prefill(first) { _ in nested.append(try prefill(second)) }
        #expect(mixed == alone.0 && nested == Array(repeating: alone.1, count: 4))
        // The patterns do say which prefill they are of.
        #expect(alone.0 != (try model.prefill(first, cache: model.makeCache(capacity: 300), policy: .dense).logits))
    }
}
