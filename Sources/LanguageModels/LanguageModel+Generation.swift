import AttentionCore
import ModelFormats
import SampleAttention

extension LanguageModel {
    /// A prompt's continuation.
    public struct Generation: Sendable {
        /// The new tokens, the end-of-text token excluded.
        public let tokens: [Int32]
        public let prefill: PrefillReport
        public let decodeSeconds: Double
    }

    /// Prefills with `policy`, then decodes densely until `maxTokens`, end of text, or `shouldStop` says so.
    ///
    /// - Parameters:
    ///   - onToken: called with each new token as it appears.
    /// - Throws: `InputError` as `prefill`. The continuation ends early where the model's positions do.
    public func generate(
        _ prompt: [Int32], maxTokens: Int, policy: AttentionPolicy, chunk: Int? = nil, sampler: TokenSampler,
        shouldStop: (_ tokens: [Int32]) -> Bool = { _ in false }, onToken: (Int32) -> Void = { _ in }
    ) throws -> Generation {
        var sampler = sampler
        // The last token needs no position: nothing is computed after it.
        let room = configuration.maximumPositions - prompt.count + 1
        let cache = makeCache(capacity: prompt.count + max(0, min(maxTokens, room) - 1))
        let prefill = try prefill(prompt, cache: cache, policy: policy, chunk: chunk)
        let start = ContinuousClock.now
        var tokens: [Int32] = []
        var logits = prefill.logits
        while tokens.count < min(maxTokens, room) {
            let token = sampler.next(logits)
            if configuration.endOfText.contains(token) { break }
            tokens.append(token)
            onToken(token)
            if tokens.count == min(maxTokens, room) || shouldStop(tokens) { break }
            logits = try self.prefill([token], cache: cache, policy: .dense).logits
        }
        return Generation(tokens: tokens, prefill: prefill.report, decodeSeconds: (ContinuousClock.now - start).seconds)
    }
}
