import AttentionCore
import ModelFormats
import SampleAttention
import Synchronization

/// The forms for tasks: what blocks runs on a thread of its own, and a task that is cancelled gets `CancellationError` soon.
extension LanguageModel {
    /// Runs a prompt through the model without blocking the task's thread; gives what the blocking form gives.
    ///
    /// A cancelled task ends it before the next layer. The cache then holds the chunks that went through every layer, as after any
    /// error; another call can go on from there, or `reset()` it.
    ///
    /// - Parameters: as the blocking form.
    /// - Throws: `CancellationError`; `InputError` as the blocking form.
    public func prefill(
        _ tokens: [Int32], cache: KeyValueCache, policy: AttentionPolicy, chunk: Int? = nil
    ) async throws -> Prefill {
        try await BlockingCall.run { cancellation in
            var observer = CancellationObserver(cancellation: cancellation)
            return try self.prefill(tokens, cache: cache, policy: policy, chunk: chunk, observer: &observer)
        }
    }

    /// Prefills and decodes without blocking the task's thread; gives what the blocking form gives.
    ///
    /// A cancelled task ends it before the next layer of the prefill or before the next token; the cache, which is the call's own, goes
    /// with it. To stop at some text, leave the loop over `continuation(of:maxTokens:policy:chunk:cache:sampler:)`.
    ///
    /// - Parameter onToken: called with each new token as it appears, on the call's own thread.
    /// - Throws: `CancellationError`; `InputError` as the blocking form.
    public func generate(
        _ prompt: [Int32], maxTokens: Int, policy: AttentionPolicy, chunk: Int? = nil, cache settings: CacheSettings = CacheSettings(),
        sampler: TokenSampler, endsOfTurn: [Int32] = [], onToken: @escaping @Sendable (Int32) -> Void = { _ in }
    ) async throws -> Generation {
        try await BlockingCall.run { cancellation in
            let generation = try self.generate(
                prompt, maxTokens: maxTokens, policy: policy, chunk: chunk, cache: settings, sampler: sampler, endsOfTurn: endsOfTurn,
                observer: CancellationObserver(cancellation: cancellation), shouldStop: { _ in cancellation.isCancelled }, onToken: onToken)
            try cancellation.check()
            return generation
        }
    }

    /// A token of a continuation, as it appears.
    public struct ContinuedToken: Hashable, Sendable {
        public let token: Int32
        /// The text that became certain with it: nothing while a character's bytes are not all there, and for bytes that
        /// never become one. Special tokens have none.
        public let text: String
    }

    /// A prompt's continuation, token by token. Leaving the loop, or cancelling its task, ends the generation before the next layer or
    /// token.
    ///
    /// ```swift
    /// for try await next in model.continuation(of: prompt, maxTokens: 100, policy: .dense, sampler: sampler) {
    ///     print(next.text, terminator: "")
    /// }
    /// ```
    ///
    /// Tokens that the loop has not taken yet are kept for it. The loop throws `InputError` as `generate`; in a task that is cancelled it
    /// ends.
    public func continuation(
        of prompt: [Int32], maxTokens: Int, policy: AttentionPolicy, chunk: Int? = nil, cache settings: CacheSettings = CacheSettings(),
        sampler: TokenSampler, endsOfTurn: [Int32] = []
    ) -> AsyncThrowingStream<ContinuedToken, any Error> {
        AsyncThrowingStream { continuation in
            let tokens = Mutex(ContinuedTokens(tokenizer))
            let generation = Task {
                do {
                    _ = try await generate(
                        prompt, maxTokens: maxTokens, policy: policy, chunk: chunk, cache: settings, sampler: sampler,
                        endsOfTurn: endsOfTurn
                    ) { token in
                        for next in tokens.withLock({ $0.append(token) }) { continuation.yield(next) }
                    }
                    if let last = tokens.withLock({ $0.finish() }) { continuation.yield(last) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in generation.cancel() }
        }
    }
}

/// The tokens of a continuation with their texts. A token whose bytes count only together with those of the next waits for it.
private struct ContinuedTokens: Sendable {
    private var stream: TextStream
    private var waiting: LanguageModel.ContinuedToken?

    init(_ tokenizer: Tokenizer) { stream = TextStream(tokenizer, skippingSpecialTokens: true) }

    /// The tokens that are complete now.
    mutating func append(_ token: Int32) -> [LanguageModel.ContinuedToken] {
        let next = LanguageModel.ContinuedToken(token: token, text: stream.append(token))
        let before = waiting
        waiting = stream.awaitsBytes ? next : nil
        return [before, waiting == nil ? next : nil].compactMap(\.self)
    }

    /// The token that waited for another one, if any.
    mutating func finish() -> LanguageModel.ContinuedToken? {
        waiting.map { LanguageModel.ContinuedToken(token: $0.token, text: $0.text + stream.finish()) }
    }
}
