import AttentionCore
import AttentionKernels
import ModelFormats
import RunProvenance
import SampleAttention
import Synchronization

/// A decoder-only language model: its configuration, weights, tokenizer and forward pass.
///
/// ```swift
/// let kernel = try AttentionKernel(pool: WorkerPool(threads: 2))
/// let model = try LanguageModel.load(from: "/models/llama", kernel: kernel)
/// let tokens = try model.promptTokens(for: "Call me Ishmael.")
/// let cache = try model.makeCache(capacity: tokens.count + 20)
/// let prefill = try model.prefill(tokens, cache: cache, policy: .fixed(.standard, name: "sample"))
/// ```
public final class LanguageModel: Sendable {
    /// What the model computes.
    public let description: DecoderDescription
    public let tokenizer: Tokenizer
    /// Where the model came from.
    public let files: ModelFiles
    /// Its tensors, in mapped files.
    public let weights: any TensorArchive
    public let kernel: AttentionKernel
    /// Tensors of the weights that the model does not read, such as those of a vision tower or of layers that it does not have.
    public let unreadTensors: [String]
    let decoder: Decoder
    /// Of the weights that are read; hashed once.
    private let weightsSHA256 = Mutex<String?>(nil)

    /// `model_type`s this version runs.
    public static var supportedTypes: [String] { ModelFamilies.modelTypes }

    /// Loads a Hugging Face model folder, or a GGUF file. The embedding is looked up in the mapped weights: files that are replaced under the same name may
    /// be so while the model is in use, files that are written over may not.
    ///
    /// - Parameters:
    ///   - ignoresExtraTensors: lets tensors of the decoder pass that this family does not have, such as a
    ///     bias: the model then computes something else than what was trained.
    ///   - progress: called as the weights are loaded, with their share from 0 to 1.
    /// - Throws: `InputError` naming file, field, value and rule for anything missing, broken or not supported.
    public static func load(
        from path: String, kernel: AttentionKernel, ignoresExtraTensors: Bool = false, progress: (Double) -> Void = { _ in }
    ) throws(InputError) -> LanguageModel {
        try LanguageModel(path, kernel: kernel, ignoresExtraTensors: ignoresExtraTensors, progress: progress)
    }

    private init(
        _ path: String, kernel: AttentionKernel, ignoresExtraTensors: Bool, progress: (Double) -> Void
    ) throws(InputError) {
        // What the configuration alone can tell is told first.
        files = try ModelFiles(path)
        let (family, description) = try ModelFamilies.describe(files)
        self.description = description
        self.kernel = kernel
        let archive = try files.weights()
        weights = archive
        tokenizer = try files.tokenizer(vocabularySize: description.vocabularySize)
        // What names alone can tell is told before gigabytes are read.
        let names = TensorNames(archive, tensors: family.tensors(of: description), description: description)
        let leftOver = names.leftOver(in: archive)
        if let name = leftOver.inDecoder.first, !ignoresExtraTensors {
            throw InputError(
                .unsupported, file: archive.listing, field: name,
                rule: "is no tensor of a \(description.modelType) model: left out, the model would compute something else",
                remedy: .ignoreExtraTensors)
        }
        unreadTensors = leftOver.inDecoder + leftOver.elsewhere
        let packed = try DecoderWeights(archive, names: names, description: description, kernel: kernel, progress: progress)
        decoder = Decoder(description: description, weights: packed, kernel: kernel)
    }

    /// What tells this model from others, for configs: the same for the same weights, however they are split into files. Hashes the
    /// weights at the first call, which takes a moment for large ones.
    ///
    /// - Throws: `InputError` when a file can no longer be read.
    public func identity() throws(InputError) -> ModelIdentity {
        let names = decoder.weights.names
        let digest = try weightsSHA256.withLock { known throws(InputError) in
            if let known { return known }
            let digest = try weights.sha256(of: names.all.map { (canonical: $0, own: names.own($0)) })
            known = digest
            return digest
        }
        return ModelIdentity(
            family: description.modelType, layers: description.layerCount, queryHeads: description.queryHeads,
            keyValueHeads: description.keyValueHeads, headDimension: description.headDimension,
            weightsSHA256: digest, tokenizerSHA256: try files.tokenizerSHA256())
    }

    /// The text's tokens and what the tokenizer puts around them, such as begin-of-text.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tokenizer gives a token the model has no embedding for.
    public func promptTokens(for text: String) throws(InputError) -> [Int32] {
        let tokens = tokenizer.encodePrompt(text)
        try check(tokens)
        return tokens
    }

    func check(_ tokens: [Int32]) throws(InputError) {
        for token in tokens where token < 0 || token >= description.vocabularySize {
            throw InputError(
                .invalidData, file: files.config.file, field: "vocab_size",
                value: "\(description.vocabularySize)",
                rule: "must be above every token of the tokenizer (\(token))")
        }
    }

    /// An empty cache for up to `capacity` positions.
    ///
    /// - Parameter format: BF16 takes half the memory and INT8 little more than a quarter; a prefill then holds one layer in floats too.
    ///   Nil is `standardCacheFormat`.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    public func makeCache(capacity: Int, format: KeyValueCache.Format? = nil) throws(InputError) -> KeyValueCache {
        try KeyValueCache(description, capacity: capacity, format: format ?? standardCacheFormat)
    }

    /// What keys and values are kept in where nothing is asked for: the precision of the kernel's products, which a prefill rounds them to
    /// anyway.
    public var standardCacheFormat: KeyValueCache.Format {
        switch kernel.precision {
        case .fp32: .fp32
        case .bf16: .bf16
        }
    }

    /// What a prefill cost and kept. Layers with a window of their own, which no method changes, are in the seconds and in nothing else.
    public struct PrefillReport: Sendable {
        public let tokens: Int
        /// What the caller waited for: buffers, rotary tables, all layers and the first scores; the cache too where the model made it.
        public internal(set) var seconds: Double
        /// Selection, certificates and kernel, all layers.
        public let attentionSeconds: Double
        public let selectionSeconds: Double
        /// 0 unless the policy asks for certificates.
        public let certificateSeconds: Double
        /// Matrix products outside attention: projections and MLP.
        public let productSeconds: Double
        /// Kept over causal pairs, all layers that attend to everything and all their heads; 1 where there are none.
        public let density: Double
        /// The layers that attend to everything, ascending.
        public let layers: [Int]
        /// One list of reports of these layers a chunk; each holds its heads' certificates where the policy asks for them.
        public let chunks: [[AttentionReport]]
    }

    public struct Prefill: Sendable {
        /// Scores of the next token: [vocabulary].
        public let logits: [Float]
        public let report: PrefillReport
    }

    /// Runs a prompt through the model and returns the scores of the token after it.
    ///
    /// - Parameters:
    ///   - cache: empty, or filled by earlier chunks of the same prompt; must have room.
    ///   - chunk: tokens a forward pass takes at once; nil takes all, which is fastest.
    /// - Throws: `InputError` for an empty prompt, or one past the model's `max_position_embeddings` or the cache; for weights
    ///   that overflow.
    public func prefill(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int? = nil
    ) throws -> Prefill {
        var observer = NoObserver()
        return try prefill(tokens, cache: cache, policy: policy, chunk: chunk, observer: &observer)
    }

    /// The same with an observer of every layer.
    public func prefill(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int? = nil, observer: inout some ForwardObserver
    ) throws -> Prefill {
        try prefill(tokens, cache: cache, policy: policy, chunk: chunk, since: .now, observer: &observer)
    }

    /// The same, counting the seconds from when the caller began.
    func prefill(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int?, since start: ContinuousClock.Instant,
        observer: inout some ForwardObserver
    ) throws -> Prefill {
        var logits = [Float](repeating: 0, count: description.vocabularySize)
        let report = try run(tokens, cache: cache, policy: policy, chunk: chunk, since: start, observer: &observer) {
            hidden, rows, isLast in
            guard isLast else { return }
            try logits.withUnsafeMutableBufferPointer {
                try scores(
                    hidden: hidden + (rows - 1) * description.hiddenSize, rows: 1, firstPosition: cache.position - 1,
                    into: $0.baseAddress!)
            }
        }
        return Prefill(logits: logits, report: report)
    }

    /// Chunk after chunk; `body` gets each chunk's final hidden states [rows][hidden].
    func run(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int?, since start: ContinuousClock.Instant = .now,
        observer: inout some ForwardObserver,
        _ body: (_ hidden: UnsafePointer<Float>, _ rows: Int, _ isLast: Bool) throws -> Void
    ) throws -> PrefillReport {
        try cache.exclusively {
            try runChunks(tokens, cache: cache, policy: policy, chunk: chunk, since: start, observer: &observer, body)
        }
    }

    private func runChunks(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int?, since start: ContinuousClock.Instant,
        observer: inout some ForwardObserver, _ body: (_ hidden: UnsafePointer<Float>, _ rows: Int, _ isLast: Bool) throws -> Void
    ) throws -> PrefillReport {
        try checkRoom(tokens, cache: cache)
        let step = min(chunk ?? tokens.count, tokens.count)
        precondition(step > 0, "a chunk holds at least one token")
        let promptLength = cache.position + tokens.count
        let policy = policy.begunPrefill()
        let hidden = try AlignedBuffer<Float>(extents: step, description.hiddenSize, of: "hidden states of \(step) tokens")
        let workspace = AttentionWorkspace()
        let floats = try FloatLayer(of: cache, rows: cache.count + tokens.count)
        var passes: [Decoder.Pass] = []
        for first in stride(from: 0, to: tokens.count, by: step) {
            let part = tokens[first..<min(first + step, tokens.count)]
            passes.append(
                try decoder.prefill(
                    part, cache: cache, promptLength: promptLength, policy: policy, workspace: workspace, floats: floats,
                    hidden: hidden.base, observer: &observer))
            try checkFinite(hidden.elements.prefix(part.count * description.hiddenSize), firstToken: first)
            try body(UnsafePointer(hidden.base), part.count, part.endIndex == tokens.count)
        }
        return report(passes, tokens: tokens.count, seconds: (ContinuousClock.now - start).seconds)
    }

    func checkRoom(_ tokens: [Int32], cache: KeyValueCache) throws(InputError) {
        guard !tokens.isEmpty else { throw InputError(.usage, field: "prompt", value: "0 tokens", rule: "must not be empty") }
        try check(tokens)
        let needed = cache.position + tokens.count
        let rows = cache.count + tokens.count
        guard needed <= description.longestSequence else {
            throw InputError(
                .usage, field: "prompt", value: "\(needed) tokens",
                rule: "must fit the model's max_position_embeddings of \(description.longestSequence)")
        }
        guard rows <= cache.capacity else {
            throw InputError(.usage, field: "prompt", value: "\(rows) tokens", rule: "must fit the cache of \(cache.capacity)")
        }
    }

    /// Finite weights can still overflow FP32; scores that are not numbers must not be taken for answers.
    func checkFinite(_ hidden: Slice<UnsafeMutableBufferPointer<Float>>, firstToken: Int) throws(InputError) {
        guard let index = hidden.firstIndex(where: { !$0.isFinite }) else { return }
        throw unusable("hidden state of token \(firstToken + index / description.hiddenSize)", hidden[index])
    }

    private func report(_ passes: [Decoder.Pass], tokens: Int, seconds: Double) -> PrefillReport {
        let layers = passes.flatMap(\.layers)
        let kept = layers.reduce(0) { $0 + $1.keptPairs.reduce(0, +) }
        let causal = layers.reduce(0) { $0 + $1.causalPairs * $1.keptPairs.count }
        let selection = layers.reduce(0) { $0 + $1.selectionSeconds }
        let certificate = layers.reduce(0) { $0 + $1.certificateSeconds }
        return PrefillReport(
            tokens: tokens, seconds: seconds,
            attentionSeconds: layers.reduce(selection + certificate + passes.reduce(0) { $0 + $1.windowSeconds }) { $0 + $1.kernelSeconds },
            selectionSeconds: selection, certificateSeconds: certificate, productSeconds: passes.reduce(0) { $0 + $1.productSeconds },
            density: causal == 0 ? 1 : Double(kept) / Double(causal),
            layers: self.description.fullAttentionLayers, chunks: passes.map(\.layers))
    }
}
