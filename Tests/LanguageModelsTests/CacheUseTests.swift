import AttentionCore
import AttentionKernels
import AttentionTestSupport
import LanguageModels
import Parallelism
import SampleAttention
import Testing

/// A cache that is in use refuses any other call. An observer, which runs in the middle of a prefill, stands for a call on another thread.
@Suite struct CacheUseTests {
    private static func interfere(_ body: @escaping (_ model: LanguageModel, _ cache: KeyValueCache) throws -> Void) throws {
        let tiny = try TinyModel(Scratch())
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let cache = try model.makeCache(capacity: 64)
        var tap = AttentionTap { _ in try body(model, cache) }
        _ = try model.prefill([1, 2, 3], cache: cache, policy: .dense, observer: &tap)
    }

    private static func expectRefused(_ result: ExitTest.Result?) throws {
        let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(message.contains("a KeyValueCache was used by two calls at once"))
    }

    @Test func aSecondPrefillStopsTheProgram() async throws {
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try CacheUseTests.interfere { model, cache in _ = try model.prefill([4], cache: cache, policy: .dense) }
            })
    }

    @Test func aResetOrAnEvictionInAPrefillStopsTheProgram() async throws {
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try CacheUseTests.interfere { _, cache in cache.reset() }
            })
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try CacheUseTests.interfere { _, cache in
                    _ = try cache.evicting(CacheEviction(.streaming, budget: 2), masses: nil, room: 1)
                }
            })
    }

    /// A call that throws has ended: the cache keeps whole chunks and can be used on.
    @Test func aPrefillThatThrowsLeavesWholeChunks() throws {
        struct Stop: Error {}
        let tiny = try TinyModel(Scratch(), shape: TinyModel.Shape(layers: 2))
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let tokens = (0..<30).map { Int32($0 * 7 % 256) }
        let cache = try model.makeCache(capacity: 30)
        var layers = 0
        var tap = AttentionTap { _ in
            layers += 1
            // The second layer of the second chunk.
            if layers == 4 { throw Stop() }
        }
        #expect(throws: Stop.self) { try model.prefill(tokens, cache: cache, policy: .dense, chunk: 10, observer: &tap) }
        #expect(cache.count == 10 && cache.position == 10)
        let rest = try model.prefill(Array(tokens[10...]), cache: cache, policy: .dense, chunk: 10)
        let whole = try model.prefill(tokens, cache: model.makeCache(capacity: 30), policy: .dense, chunk: 10)
        #expect(rest.logits == whole.logits)
    }
}
