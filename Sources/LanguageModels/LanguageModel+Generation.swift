import AttentionCore
import AttentionKernels
import ModelFormats
import SampleAttention

extension LanguageModel {
    /// A prompt's continuation.
    public struct Generation: Sendable {
        /// The new tokens, the end-of-text token excluded.
        public let tokens: [Int32]
        public let prefill: PrefillReport
        public let decodeSeconds: Double
        /// Of keys and values, as decoding began: what is held, and the cache's whole memory.
        public let cachedPositions, cacheBytes: Int
    }

    /// What happens to keys and values between the prefill and decoding.
    public struct CacheSettings: Sendable, Hashable, Encodable {
        /// Nil is the model's `standardCacheFormat`.
        public var format: KeyValueCache.Format?
        /// Nil keeps everything.
        public var eviction: CacheEviction?

        public init(format: KeyValueCache.Format? = nil, eviction: CacheEviction? = nil) {
            self.format = format
            self.eviction = eviction
        }

        /// The same with a format that is named.
        public func named(for model: LanguageModel) -> CacheSettings {
            CacheSettings(format: format ?? model.standardCacheFormat, eviction: eviction)
        }
    }

    /// Prefills with `policy`, then decodes densely, over what the cache holds, until `maxTokens`, end of text, or `shouldStop` says so.
    ///
    /// - Parameters:
    ///   - endsOfTurn: tokens that end the continuation as the model's own end-of-text tokens do.
    ///   - observer: a copy of it sees the layers of the prefill.
    ///   - shouldStop: gets the text so far, without special tokens and without a character that is not complete yet.
    ///   - onToken: called with each new token as it appears.
    /// - Throws: `InputError` as `prefill`. The continuation ends early where the model's positions do.
    public func generate(
        _ prompt: [Int32], maxTokens: Int, policy: AttentionPolicy, chunk: Int? = nil, cache settings: CacheSettings = CacheSettings(),
        sampler: TokenSampler, endsOfTurn: [Int32] = [], observer: some ForwardObserver = NoObserver(),
        shouldStop: (_ text: String) -> Bool = { _ in false },
        onToken: (Int32) -> Void = { _ in }
    ) throws -> Generation {
        var sampler = sampler
        // The last token needs no position: nothing is computed after it.
        let room = description.longestSequence - prompt.count + 1
        let newPositions = max(0, min(maxTokens, room) - 1)
        let (prefill, cache) = try prefill(
            prompt, newPositions: newPositions, policy: policy, chunk: chunk, settings: settings, observer: observer)
        let cached = cache.count
        let start = ContinuousClock.now
        let decoder = try TokenDecoder(model: self, cache: cache)
        let limit = min(maxTokens, room)
        var tokens: [Int32] = []
        var stream = TextStream(tokenizer, skippingSpecialTokens: true)
        var text = ""
        while tokens.count < limit {
            let token = sampler.next(tokens.isEmpty ? prefill.logits : decoder.logits)
            if description.endOfText.contains(token) || endsOfTurn.contains(token) { break }
            tokens.append(token)
            onToken(token)
            text += stream.append(token)
            if tokens.count == limit || shouldStop(text) { break }
            try decoder.append(token)
        }
        return Generation(
            tokens: tokens, prefill: prefill.report, decodeSeconds: (ContinuousClock.now - start).seconds, cachedPositions: cached,
            cacheBytes: cache.bytes)
    }

    /// A prefill into a cache that is made for it, and the cache as the settings leave it; the report's seconds are of both.
    ///
    /// - Parameters:
    ///   - newPositions: room for tokens after the prompt.
    ///   - observer: a copy of it sees every layer.
    /// - Throws: `InputError` as `prefill(_:cache:policy:chunk:)`; `systemFailure` when the system does not give the cache's memory.
    public func prefill(
        _ prompt: [Int32], newPositions: Int, policy: AttentionPolicy, chunk: Int? = nil, settings: CacheSettings = CacheSettings(),
        observer: some ForwardObserver = NoObserver()
    ) throws -> (prefill: Prefill, cache: KeyValueCache) {
        let start = ContinuousClock.now
        let cache = try makeCache(prompt: prompt.count, newPositions: newPositions, format: settings.format)
        guard let eviction = settings.eviction, eviction.budget < prompt.count else {
            var observer = observer
            return (try prefill(prompt, cache: cache, policy: policy, chunk: chunk, since: start, observer: &observer), cache)
        }
        var both = ObserverPair(AttentionMassObserver(eviction, layers: description.layerCount, kernel: kernel), observer)
        let prefill = try prefill(prompt, cache: cache, policy: policy, chunk: chunk, since: start, observer: &both)
        return (prefill, try cache.evicting(eviction, masses: eviction.rule == .streaming ? nil : both.first.masses, room: newPositions))
    }

    /// A cache whose memory, where it is not to be had, is blamed on what asks for most of it.
    private func makeCache(prompt: Int, newPositions: Int, format: KeyValueCache.Format?) throws(InputError) -> KeyValueCache {
        do throws(InputError) {
            return try makeCache(capacity: prompt + newPositions, format: format)
        } catch {
            let (field, value) = newPositions > prompt ? ("maxTokens", "\(newPositions + 1)") : ("prompt", "\(prompt) tokens")
            throw InputError(error.code, field: field, value: value, rule: "\(error.field ?? "cache"): \(error.value ?? ""): \(error.rule)")
        }
    }
}
