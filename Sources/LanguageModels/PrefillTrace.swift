import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism
import SampleAttention
import Synchronization

/// One prompt's way through a model under one policy, kept, so that two policies can be compared at every position, and so that
/// a change in some layer's attention can be followed from that layer on without running the layers before it again.
///
/// Holds the final hidden states, and to be probed the cache and the residual stream before each layer that may change: at most
/// (layers + 1) · tokens · hidden floats, and the scores of every position where they take no more than 256 MiB; probes have memory of
/// their own. Several tasks may compare with a trace and probe it at once.
public final class PrefillTrace: @unchecked Sendable {  // What changes is behind locks, or one probe's alone.
    public let tokens: [Int32]
    /// Its seconds are without those of the tap.
    public let report: LanguageModel.PrefillReport
    private let model: LanguageModel
    /// After the final norm: [tokens][hidden].
    private let final: AlignedBuffer<Float>
    /// Before `firstDepth`, the layer after it, …: [layer][tokens][hidden]; empty when none is kept.
    private let depths: AlignedBuffer<Float>
    private let firstDepth: Int
    /// What the prompt left in it; taken by the first probe.
    private let firstCache: Mutex<KeyValueCache?>
    /// [tokens][vocabulary], from the second comparison with this run on, where they are not too large: a study compares with the same
    /// dense run hundreds of times.
    private let comparisons = Mutex(Comparisons())
    private static let mostLogitBytes = 256 << 20
    /// Of probes that have ended, for those that come.
    private let spare = Mutex<[ProbeMemory]>([])

    private struct Comparisons {
        var count = 0
        var logits: Logits?
    }

    private final class Logits: @unchecked Sendable {  // Written before it is shared.
        let scores: AlignedBuffer<Float>
        init(_ scores: consuming AlignedBuffer<Float>) { self.scores = scores }
    }

    /// What one probe works in.
    private final class ProbeMemory: @unchecked Sendable {  // One probe's at a time.
        /// [tokens][hidden].
        let hidden: AlignedBuffer<Float>
        let buffers: ForwardBuffers
        let cache: KeyValueCache
        let floats: FloatLayer
        let workspace = AttentionWorkspace()

        init(_ tokens: Int, model: LanguageModel, cache: KeyValueCache?) throws(InputError) {
            hidden = try AlignedBuffer(extents: tokens, model.description.hiddenSize, of: "hidden states of \(tokens) tokens")
            buffers = try ForwardBuffers(model.description, tokens: tokens, kernel: model.kernel)
            self.cache = if let cache { cache } else { try model.makeCache(capacity: tokens) }
            floats = try FloatLayer(of: self.cache, rows: tokens)
        }

        /// Bytes, nearly.
        static func size(tokens: Int, model: LanguageModel) -> Int {
            let d = model.description
            let cached = 2 * d.layerCount * d.keyValueHeads * d.headDimension
            return tokens * (d.hiddenSize + 2 * d.queryHeads * d.headDimension + cached) * MemoryLayout<Float>.stride
        }
    }

    /// Copies what passes by, and lets the tap see it too.
    private struct Recorder: ForwardObserver {
        let depths: UnsafeMutableBufferPointer<Float>
        let firstDepth: Int
        var tap: AttentionTap?
        var tapSeconds = 0.0

        var readsLogSumExp: Bool { tap?.readsLogSumExp ?? false }

        mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) {
            let place = depth - firstDepth
            guard place >= 0, (place + 1) * hidden.count <= depths.count else { return }
            (depths.baseAddress! + place * hidden.count).update(from: hidden.baseAddress!, count: hidden.count)
        }

        mutating func attended(_ attention: LayerAttention) throws {
            guard let tap else { return }
            let start = ContinuousClock.now
            try tap.attended(attention)
            tapSeconds += (ContinuousClock.now - start).seconds
        }
    }

    /// Runs the prompt.
    ///
    /// - Parameters:
    ///   - firstDepth: the first layer that may be probed; nil keeps what comparing takes only.
    ///   - tap: sees each layer's Q, K, V and output on the way.
    /// - Throws: as `LanguageModel.prefill`, and what the tap throws.
    public init(
        _ tokens: [Int32], model: LanguageModel, policy: AttentionPolicy, probedFrom firstDepth: Int? = nil, tap: AttentionTap? = nil
    ) throws {
        self.tokens = tokens
        self.model = model
        let size = model.description.hiddenSize
        let floats = tokens.count * size
        let purpose = "hidden states of \(tokens.count) tokens"
        final = try AlignedBuffer(extents: tokens.count, size, of: purpose)
        let layers = model.description.layerCount
        self.firstDepth = firstDepth ?? layers
        depths = try AlignedBuffer(extents: firstDepth.map { layers - $0 } ?? 0, tokens.count, size, of: "\(purpose) before each layer")
        let cache = try model.makeCache(capacity: tokens.count)
        firstCache = Mutex(firstDepth == nil ? nil : cache)
        let end = final.base
        var recorder = Recorder(depths: depths.elements, firstDepth: self.firstDepth, tap: tap)
        var report = try model.run(tokens, cache: cache, policy: policy, chunk: nil, observer: &recorder) { hidden, _, _ in
            end.update(from: hidden, count: floats)
        }
        report.seconds -= recorder.tapSeconds
        self.report = report
    }

    /// How this run's opinions differ from those of another run of the same tokens.
    ///
    /// - Throws: `InputError` (`invalidData`) where a score is not finite.
    public func divergence(from reference: PrefillTrace) throws(InputError) -> Divergence {
        precondition(reference.tokens == tokens, "both runs must be of the same tokens")
        return try reference.divergence(to: final.base)
    }

    /// How opinions from final hidden states differ from this run's.
    private func divergence(to hidden: UnsafePointer<Float>) throws(InputError) -> Divergence {
        try model.divergence(
            of: hidden, from: final.base, tokens: tokens, referenceLogits: try referenceLogits().map { UnsafePointer($0.scores.base) })
    }

    /// This run's scores, when they are worth their memory.
    private func referenceLogits() throws(InputError) -> Logits? {
        // Others that compare wait for the scores to be there.
        try comparisons.withLock { comparisons throws(InputError) in
            comparisons.count += 1
            let count = tokens.count * model.description.vocabularySize
            if comparisons.count == 2, count * MemoryLayout<Float>.stride <= Self.mostLogitBytes {
                // Kept only when all of them are finite.
                let known = AlignedBuffer<Float>(count: count)
                try model.scores(hidden: final.base, rows: tokens.count, firstPosition: 0, into: known.base)
                comparisons.logits = Logits(known)
            }
            return comparisons.logits
        }
    }

    /// Probes that can share the threads: their serial parts leave most of many threads idle, while each has a cache of its own.
    public var concurrentProbes: Int {
        let affordable = Self.mostProbeBytes / ProbeMemory.size(tokens: tokens.count, model: model)
        return max(1, min(model.kernel.pool.threads / 2, 4, affordable))
    }
    private static let mostProbeBytes = 1 << 30

    /// How the opinions would differ from the reference's if layers from `layer` on attended by another policy.
    ///
    /// - Parameter layer: the first layer in which `policy` differs from this run's own; not before `probedFrom`.
    /// - Throws: as `LanguageModel.prefill`.
    /// Complexity: the layers from `layer` on, and scores of every position.
    public func probe(_ policy: AttentionPolicy, from layer: Int, against reference: PrefillTrace) throws -> Divergence {
        precondition(layer >= firstDepth && depths.count > 0, "a run is probed from the layer it was kept for")
        let memory = try probeMemory()
        defer { spare.withLock { $0.append(memory) } }
        let (hidden, stream) = (SharedPointer(memory.hidden.base), SharedPointer(depths.base + (layer - firstDepth) * final.count))
        let size = model.description.hiddenSize
        model.decoder.forEachTile(tokens.count) { _, row, rows in
            (hidden.base + row * size).update(from: stream.base + row * size, count: rows * size)
        }
        let cache = memory.cache
        cache.reset()
        var observer = NoObserver()
        try cache.exclusively {
            _ = try model.decoder.prefill(
                tokens[...], cache: cache, promptLength: tokens.count, policy: policy.begunPrefill(), workspace: memory.workspace,
                floats: memory.floats, buffers: memory.buffers, hidden: hidden.base, from: layer,
                observer: &observer)
        }
        return try reference.divergence(to: hidden.base)
    }

    private func probeMemory() throws(InputError) -> ProbeMemory {
        if let known = spare.withLock({ $0.popLast() }) { return known }
        let cache = firstCache.withLock { cache in
            defer { cache = nil }
            return cache
        }
        return try ProbeMemory(tokens.count, model: model, cache: cache)
    }
}
