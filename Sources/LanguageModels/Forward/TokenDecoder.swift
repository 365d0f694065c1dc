import AttentionCore
import AttentionKernels

/// Decoding: appends one token after the other to a cache and knows the scores of the one after it. Attention is dense over what the cache
/// holds.
///
/// Owns the memory that a step works in, but what experts and a rotary embedding whose base follows the length need anew: the rows of
/// attention are cut into pieces once, for the cache's capacity.
/// Unlike a prefill, which turns a layer of BF16 or INT8 rows to floats, a step reads rows as they are kept. Not for use by two tasks at
/// once; a step beside another use of the cache stops the program, as `KeyValueCache` says.
public final class TokenDecoder {
    /// Scores of the token after the last one that was appended: [vocabulary]; zeros before the first.
    public private(set) var logits: [Float]
    /// In attention, of all steps so far.
    public private(set) var attentionSeconds = 0.0
    public let cache: KeyValueCache
    private let model: LanguageModel
    private let attention: DecodeAttention
    private let buffers: ForwardBuffers
    private let hidden, logitBuffers: AlignedBuffer<Float>
    /// The token of a step.
    private var input: [Int32] = [0]

    /// - Parameter cache: of this model, with what a prefill left in it.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    public init(model: LanguageModel, cache: KeyValueCache) throws(InputError) {
        let c = model.description
        self.model = model
        self.cache = cache
        attention = try DecodeAttention(
            queryHeads: c.queryHeads, keyValueHeads: c.keyValueHeads, headDimension: c.headDimension, capacity: cache.capacity,
            kernel: model.kernel)
        buffers = try ForwardBuffers(c, tokens: 1, kernel: model.kernel)
        hidden = try AlignedBuffer(extents: c.hiddenSize, of: "hidden state of a token")
        logitBuffers = model.decoder.makeLogitBuffers()
        logits = Array(repeating: 0, count: c.vocabularySize)
    }

    /// Appends a token and computes the scores of the one after it.
    ///
    /// - Throws: `InputError` when the cache or the model's positions are full, for a token outside the vocabulary, and for weights that
    ///   overflow.
    public func append(_ token: Int32) throws {
        try cache.exclusively {
            input[0] = token
            try model.checkRoom(input, cache: cache)
            var observer = NoObserver()
            try model.decoder.forward(
                input[...], cache: cache, promptLength: 0, buffers: buffers, hidden: hidden.base, observer: &observer
            ) { layer, query, output, _ in
                let start = ContinuousClock.now
                // A layer with a window of its own sees the last rows alone.
                let end = cache.count + 1
                let rows = max(0, end - (model.description.layers[layer].attention.window ?? end))..<end
                attention.run(
                    query: query.base, keys: cache.stored(.keys, layer: layer, rows: rows),
                    values: cache.stored(.values, layer: layer, rows: rows), output: output.base, rule: model.decoder.scoreRules[layer])
                attentionSeconds += (ContinuousClock.now - start).seconds
            }
            let position = cache.position - 1
            try model.checkFinite(hidden.elements[...], firstToken: position)
            try logits.withUnsafeMutableBufferPointer { logits in
                model.decoder.logits(hidden: hidden.base, rows: 1, into: logits.baseAddress!, rooms: logitBuffers)
                try model.checkFinite(scores: UnsafeBufferPointer(logits), position: position)
            }
        }
    }
}
