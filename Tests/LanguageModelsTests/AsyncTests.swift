import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Dispatch
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Synchronization
import Testing

/// How many layers attended.
private final class LayerCount: Sendable {
    private let layers = Atomic(0)

    func add() { layers.wrappingAdd(1, ordering: .relaxed) }
    var value: Int { layers.load(ordering: .relaxed) }
}

/// Dense attention that holds the model's thread in one layer until the test has done what it wants to do there.
private final class Gate: AttentionMethod {
    let layers = LayerCount()
    /// One element when the thread is held; ends with the gate, which the model's call keeps alive.
    let arrivals: AsyncStream<Void>
    /// The guard had to let the thread go.
    let isLate = Atomic(false)
    private let heldLayer: Int
    private let heldChunk: Int
    private let chunk = Atomic(0)
    private let arrival: AsyncStream<Void>.Continuation
    private let release = DispatchSemaphore(value: 0)

    init(layer: Int, chunk: Int = 0) {
        (heldLayer, heldChunk) = (layer, chunk)
        (arrivals, arrival) = AsyncStream.makeStream()
    }

    deinit { arrival.finish() }

    var canCertify: Bool { false }

    func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        layers.add()
        if call.layer == heldLayer, chunk.wrappingAdd(1, ordering: .relaxed).oldValue == heldChunk { hold() }
        return try SampleAttentionOperator(kernel: call.kernel).attend(
            call.inputs, parameters: Array(repeating: .dense, count: call.shape.queryHeads), promptLength: call.promptLength,
            output: output,
            logSumExp: logSumExp, workspace: workspace)
    }

    /// Blocks the calling thread until `open`; a guard against a hang lets it go after ten minutes.
    func hold() {
        arrival.yield()
        if release.wait(timeout: .now() + 600) == .timedOut { isLate.store(true, ordering: .relaxed) }
    }

    /// Returns when the thread is held.
    func arrived() async { for await _ in arrivals { return } }

    func open() { release.signal() }
}

@Suite struct AsyncTests {
    private static let layers = 6
    private static let prompt = (0..<40).map { Int32($0 * 11 % 256) }

    private static func load(_ scratch: Scratch) throws -> LanguageModel {
        let tiny = try TinyModel(scratch, shape: TinyModel.Shape(layers: layers))
        return try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
    }

    /// In a function that is not async the blocking form is meant.
    private static func blockingGeneration(_ model: LanguageModel, sampler: TokenSampler) throws -> [Int32] {
        try model.generate(prompt, maxTokens: 12, policy: .dense, sampler: sampler).tokens
    }

    private static func blockingLogits(_ model: LanguageModel) throws -> [Float] {
        try model.prefill(prompt, cache: model.makeCache(capacity: 40), policy: .dense, chunk: 15).logits
    }

    @Test func givesWhatTheBlockingFormsGive() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let logits = try await model.prefill(Self.prompt, cache: model.makeCache(capacity: 40), policy: .dense, chunk: 15).logits
        #expect(try logits == Self.blockingLogits(model))
        let sampler = try TokenSampler(temperature: 1, seed: 3)
        let expected = try Self.blockingGeneration(model, sampler: sampler)
        #expect(expected.count == 12 && Set(expected).count > 1)
        let seen = Mutex<[Int32]>([])
        let generation = try await model.generate(Self.prompt, maxTokens: 12, policy: .dense, sampler: sampler) { token in
            seen.withLock { $0.append(token) }
        }
        #expect(generation.tokens == expected && seen.withLock { $0 } == expected)
        var streamed: [LanguageModel.ContinuedToken] = []
        for try await next in model.continuation(of: Self.prompt, maxTokens: 12, policy: .dense, sampler: sampler) { streamed.append(next) }
        #expect(streamed.map(\.token) == expected)
        var text = TextStream(model.tokenizer, skippingSpecialTokens: true)
        #expect(streamed.map(\.text) == expected.map { text.append($0) })
    }

    /// A token that ends a turn is none of the continuation, and the last one drawn.
    @Test func endsOfTurnEndTheContinuation() async throws {
        let model = try Self.load(Scratch())
        let sampler = try TokenSampler(temperature: 1, seed: 3)
        let whole = try Self.blockingGeneration(model, sampler: sampler)
        let expected = Array(whole.prefix { $0 != whole[5] })
        let generation = try await model.generate(
            Self.prompt, maxTokens: 12, policy: .dense, sampler: sampler, endsOfTurn: [whole[5], 255])
        #expect(generation.tokens == expected && expected.count < 12)
        var streamed: [Int32] = []
        for try await next in model.continuation(
            of: Self.prompt, maxTokens: 12, policy: .dense, sampler: sampler, endsOfTurn: [whole[5]])
        { streamed.append(next.token) }
        #expect(streamed == expected)
    }

    @Test func refusesAsTheBlockingFormsDo() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let cache = try model.makeCache(capacity: 4)
        await #expect(throws: InputError.self) { try await model.prefill(Self.prompt, cache: cache, policy: .dense) }
        await #expect(throws: InputError.self) {
            for try await _ in model.continuation(of: [], maxTokens: 1, policy: .dense, sampler: try TokenSampler()) {}
        }
    }

    /// Cancelled in layer 2 of its second chunk, a prefill runs no further layer; the cache holds the first chunk and can be used on.
    @Test func aCancelledPrefillEndsBeforeTheNextLayer() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let cache = try model.makeCache(capacity: 40)
        let gate = Gate(layer: 2, chunk: 1)
        let task = Task {
            try await model.prefill(Self.prompt, cache: cache, policy: AttentionPolicy(name: "gate", method: gate), chunk: 15)
        }
        await gate.arrived()
        task.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(gate.layers.value == Self.layers + 3)
        #expect(cache.count == 15 && cache.position == 15)
        let rest = try await model.prefill(Array(Self.prompt[15...]), cache: cache, policy: .dense, chunk: 15)
        #expect(try rest.logits == Self.blockingLogits(model))
    }

    @Test func aCancelledGenerationEndsInThePrefill() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        for eviction in [nil, CacheEviction(.lastQueries, budget: 8)] {
            let gate = Gate(layer: 1)
            let task = Task {
                try await model.generate(
                    Self.prompt, maxTokens: 4, policy: AttentionPolicy(name: "gate", method: gate), cache: .init(eviction: eviction),
                    sampler: TokenSampler()
                ) { _ in Issue.record("no token comes of a prefill that was cancelled") }
            }
            await gate.arrived()
            task.cancel()
            gate.open()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(gate.layers.value == 2)
        }
    }

    @Test func aCancelledGenerationEndsBeforeTheNextToken() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let gate = Gate(layer: -1)
        let tokens = Atomic(0)
        let task = Task {
            try await model.generate(Self.prompt, maxTokens: 100, policy: .dense, sampler: TokenSampler(temperature: 1)) { _ in
                if tokens.wrappingAdd(1, ordering: .relaxed).newValue == 3 { gate.hold() }
            }
        }
        await gate.arrived()
        task.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(tokens.load(ordering: .relaxed) == 3)
    }

    @Test func aTaskThatIsCancelledAlreadyRunsNoLayer() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let gate = Gate(layer: -1)
        let cache = try model.makeCache(capacity: 40)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await model.prefill(Self.prompt, cache: cache, policy: AttentionPolicy(name: "gate", method: gate))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(gate.layers.value == 0 && cache.count == 0)
    }

    /// Whoever leaves the loop stops the model: it does not go on to the last token.
    @Test func leavingTheLoopEndsTheGeneration() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let (layers, arrivals): (LayerCount, AsyncStream<Void>)
        do {
            let gate = Gate(layer: 3)
            (layers, arrivals) = (gate.layers, gate.arrivals)
            let stream = model.continuation(
                of: Self.prompt, maxTokens: 4, policy: AttentionPolicy(name: "gate", method: gate), sampler: try TokenSampler())
            let loop = Task { for try await _ in stream { Issue.record("no token comes of a prefill that was cancelled") } }
            await gate.arrived()
            loop.cancel()
            try await loop.value
            gate.open()
        }
        // The call has ended when nothing keeps the gate.
        for await _ in arrivals {}
        #expect(layers.value == 4)
    }

    /// More calls than the cooperative pool has threads, all of them blocked, and tasks still run.
    @Test func callsLeaveTheCooperativePoolAlone() async throws {
        let scratch = try Scratch()
        let model = try Self.load(scratch)
        let gates = (0..<2 * ProcessInfo.processInfo.activeProcessorCount + 1).map { _ in Gate(layer: 0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for gate in gates {
                group.addTask {
                    let cache = try model.makeCache(capacity: 40)
                    _ = try await model.prefill(Self.prompt, cache: cache, policy: AttentionPolicy(name: "gate", method: gate))
                }
            }
            for gate in gates { await gate.arrived() }
            for gate in gates { gate.open() }
            try await group.waitForAll()
        }
        #expect(gates.allSatisfy { $0.layers.value == Self.layers && !$0.isLate.load(ordering: .relaxed) })
    }
}
