import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

@Suite struct CacheTests {
    private static func prompt(_ model: LanguageModel, tokens count: Int) throws -> [Int32] {
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        return try Array(model.promptTokens(for: String(text.prefix(6 * count)))[..<count])
    }

    /// INT8 moves the loss by little; so little that it is no other computation.
    @Test func int8IsClose() throws {
        let model = try LanguageModelTests.load()
        let tokens = try Self.prompt(model, tokens: 800)
        let exact = try model.score(tokens, policy: .dense)
        let rounded = try model.score(tokens, policy: .dense, format: .int8)
        let difference = abs(exact.negativeLogLikelihood - rounded.negativeLogLikelihood)
        #expect(difference > 0 && difference < 0.01, "\(difference)")
        let same = zip(exact.firstChoices, rounded.firstChoices).count { $0 == $1 }
        #expect(same > 780)
    }

    /// Layers · 2 · heads · rows, of 4 d, 2 d and d + 4 bytes: nothing is held in floats beside them.
    @Test(arguments: [(KeyValueCache.Format.fp32, 64 * 4), (.bf16, 64 * 2), (.int8, 64 + 4)])
    func formatsTakeTheirBytes(format: KeyValueCache.Format, rowBytes: Int) throws {
        let model = try LanguageModelTests.load()
        let (_, cache) = try model.prefill([1, 2, 3], newPositions: 797, policy: .dense, settings: .init(format: format))
        #expect(cache.bytes == 8 * 2 * 2 * 800 * rowBytes && cache.bytesHeld == 8 * 2 * 2 * 3 * rowBytes)
    }

    /// BF16 keeps the loss closer than INT8 does.
    @Test func bf16IsCloser() throws {
        let model = try LanguageModelTests.load()
        let tokens = try Self.prompt(model, tokens: 800)
        let losses = try KeyValueCache.Format.allCases.map { try model.score(tokens, policy: .dense, format: $0).nextLogProbabilities }
        func distance(_ losses: [Float], _ exact: [Float]) -> Float { zip(losses, exact).reduce(0) { $0 + abs($1.0 - $1.1) } }
        #expect(distance(losses[1], losses[0]) > 0 && distance(losses[1], losses[0]) < distance(losses[2], losses[0]))
    }

    /// In chunks and while decoding: the same rows are read again.
    @Test(arguments: [KeyValueCache.Format.bf16, .int8]) func formatsDecodeAsTheyPrefill(format: KeyValueCache.Format) throws {
        let model = try LanguageModelTests.load()
        let tokens = try Self.prompt(model, tokens: 300)
        let whole = try model.prefill(tokens, cache: model.makeCache(capacity: 300, format: format), policy: .dense).logits
        let cache = try model.makeCache(capacity: 300, format: format)
        _ = try model.prefill(Array(tokens[..<299]), cache: cache, policy: .dense, chunk: 100)
        let decoder = try TokenDecoder(model: model, cache: cache)
        try decoder.append(tokens[299])
        let last = decoder.logits
        // A number on the border of two steps may fall to either side: far less than another row would make of it.
        let worst = zip(whole, last).map { abs($0 - $1) }.max()!
        let spread = whole.max()! - whole.min()!
        #expect(worst < 0.01 * spread, "\(worst) of \(spread)")
    }

    /// Rows too small for a scale are nothing, and rows that overflow are reported, not trapped on.
    @Test(arguments: [KeyValueCache.Format.bf16, .int8]) func rowsMayBeOfAnySize(format: KeyValueCache.Format) throws {
        for (factor, isFinite) in [(Float(1e-38), true), (0, true), (3e38, false)] {
            let scratch = try Scratch()
            let tiny = try TinyModel(scratch)
            for index in tiny.tensors.indices where tiny.tensors[index].name.contains("k_proj") {
                tiny.tensors[index].values = tiny.tensors[index].values.map { $0 * factor }
            }
            try tiny.write()
            let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
            let tokens = (0..<40).map { Int32($0 * 5 % 256) }
            func run() throws -> [Float] {
                try model.prefill(tokens, cache: model.makeCache(capacity: 40, format: format), policy: .dense).logits
            }
            if isFinite { #expect(try run().allSatisfy(\.isFinite)) } else { #expect(throws: InputError.self) { try run() } }
        }
    }

    @Test func rulesKeepWhatTheySay() {
        let streaming = CacheEviction(.streaming, budget: 10)
        #expect(streaming.kept(of: 100, masses: nil) == [0, 1, 2, 3] + Array(94..<100))
        #expect(streaming.kept(of: 9, masses: nil) == Array(0..<9))
        #expect(CacheEviction(.streaming, budget: 2).kept(of: 100, masses: nil) == [0, 99])
        var masses = [Float](repeating: 0.01, count: 100)
        for (heavy, key) in [70, 5, 98, 31].enumerated() { masses[key] = 5 - Float(heavy) }
        // The three heaviest that are not among the three recent ones.
        #expect(CacheEviction(.heavyHitters, budget: 6).kept(of: 100, masses: masses) == [5, 31, 70, 97, 98, 99])
        // Ties go to the earlier key.
        #expect(CacheEviction(.heavyHitters, budget: 8).kept(of: 100, masses: masses) == [0, 5, 31, 70, 96, 97, 98, 99])
        // Where nothing has any mass the latest fill up.
        // Neighbours within 8 positions of a heavy key are as heavy as it.
        masses = Array(repeating: 0, count: 100)
        masses[50] = 1
        #expect(CacheEviction(.lastQueries, budget: 20).kept(of: 100, masses: masses) == Array(42...51) + Array(90..<100))
        #expect(CacheEviction(.heavyHitters, budget: 4).kept(of: 9, masses: Array(repeating: 0, count: 9)) == [5, 6, 7, 8])
    }

    /// Decoding after an eviction is decoding in which the last row sees what was kept and itself, at its own position.
    @Test(arguments: KeyValueCache.Format.allCases) func decodingSeesWhatWasKept(format: KeyValueCache.Format) throws {
        let model = try LanguageModelTests.load()
        let tokens = try Self.prompt(model, tokens: 500)
        func filled() throws -> KeyValueCache {
            let cache = try model.makeCache(capacity: 500, format: format)
            _ = try model.prefill(Array(tokens[..<499]), cache: cache, policy: .dense)
            return cache
        }
        let evicted = try filled().evicting(CacheEviction(.streaming, budget: 64), masses: nil, room: 1)
        #expect(evicted.count == 64 && evicted.position == 499 && evicted.capacity == 65)
        let decoder = try TokenDecoder(model: model, cache: evicted)
        try decoder.append(tokens[499])
        let small = decoder.logits
        var window = SampleAttentionParameters.window(tokens: 61, sinks: 4)
        window.denseLastRows = 0
        let masked = try model.prefill([tokens[499]], cache: filled(), policy: .fixed(window, name: "window")).logits
        let worst = zip(small, masked).map { abs($0 - $1) }.max()!
        #expect(worst < (format == .fp32 ? 1e-3 : 0.1), "\(worst)")
        let dense = try model.prefill([tokens[499]], cache: filled(), policy: .dense).logits
        #expect(zip(small, dense).contains { abs($0 - $1) > 0.2 })
    }

    /// Where a question is asked at the end, its rows know what to keep; sinks and recent positions do not.
    @Test(arguments: [nil, 400]) func theLastQueriesKeepWhatTheyLookFor(chunk: Int?) throws {
        let model = try LanguageModelTests.load()
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        let lines = text.prefix(5000).split(separator: "\n").map { String($0) + "\n" }
        let fact = "The secret code of amber falcon is 40817.\n"
        let prompt =
            (lines.prefix(8) + [fact] + lines.dropFirst(8)).joined() + "Question: What is the secret code of amber falcon?\nAnswer:"
        let tokens = try model.promptTokens(for: prompt)
        func answer(_ rule: CacheEviction.Rule?, budget: Int = 512) throws -> (text: String, generation: LanguageModel.Generation) {
            let generation = try model.generate(
                tokens, maxTokens: 7, policy: .dense, chunk: chunk, cache: .init(eviction: rule.map { CacheEviction($0, budget: budget) }),
                sampler: TokenSampler())
            return (model.tokenizer.decode(generation.tokens), generation)
        }
        let whole = try answer(nil)
        #expect(whole.text.contains("40817") && whole.generation.cachedPositions == tokens.count)
        let asked = try answer(.lastQueries)
        #expect(asked.text.contains("40817"))
        #expect(asked.generation.cachedPositions == 512 && asked.generation.cacheBytes * 2 < whole.generation.cacheBytes)
        #expect(try !answer(.streaming).text.contains("40817"))
        // No row has looked at the code's digits before it is asked for: they are the lightest of all.
        #expect(try answer(.heavyHitters, budget: tokens.count).text.contains("40817"))
        #expect(try answer(.heavyHitters).generation.cachedPositions == 512)
    }
}
