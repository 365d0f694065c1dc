import AttentionCore
import LanguageModels
import SampleAttention

/// A model that answers requests: some at a time, in turn, over kept conversations.
package final class GenerationEngine: Sendable {
    package let model: LanguageModel
    package let policy: AttentionPolicy
    package let limits: ServingLimits
    package let queue: GenerationQueue
    package let prefixCache: PrefixCache
    private let format: KeyValueCache.Format
    private let chunk: Int?

    /// - Parameters:
    ///   - policy: how prefills attend; decoding is dense.
    ///   - format: nil is the model's standard one.
    ///   - chunk: tokens that a prefill takes at once; nil for all.
    package init(
        _ model: LanguageModel, policy: AttentionPolicy, limits: ServingLimits = ServingLimits(), format: KeyValueCache.Format? = nil,
        chunk: Int? = nil
    ) {
        self.model = model
        self.policy = policy
        self.limits = limits
        self.format = format ?? model.standardCacheFormat
        self.chunk = chunk
        queue = GenerationQueue(running: limits.running, waiting: limits.waiting)
        prefixCache = PrefixCache(limit: limits.prefixCacheBytes)
    }

    /// Tokens of a prompt and its answer together, at most.
    package var contextLength: Int { min(model.description.longestSequence, limits.contextTokens ?? .max) }

    /// Answers when the request's turn comes. A cancelled task ends it before the next layer or token.
    ///
    /// - Parameter onPiece: called on a thread of the generation's own.
    /// - Throws: `APIError` when too many wait; `CancellationError`; `InputError` when the system does not give the memory, or weights
    ///   overflow.
    package func generate(
        _ request: GenerationRequest, onPiece: @escaping @Sendable (GeneratedPiece) -> Void
    ) async throws -> GenerationSummary {
        let arrival = ContinuousClock.now
        let policy = request.isCertified && policy.certification == nil ? policy.certified(try Certification()) : policy
        return try await queue.run {
            let queueSeconds = (ContinuousClock.now - arrival).seconds
            var summary = try await BlockingCall.run { cancellation in
                try TextGeneration(
                    model: self.model, policy: policy, request: request, prefixCache: self.prefixCache, format: self.format,
                    chunk: self.chunk, cancellation: cancellation
                ).run(onPiece: onPiece)
            }
            summary.queueSeconds = queueSeconds
            return summary
        }
    }

    /// Gives back the memory of conversations that nobody goes on with, until the task is cancelled.
    package func dropUnusedConversations() async throws {
        let time = limits.prefixCacheTime
        while true {
            try await Task.sleep(for: min(max(time / 10, .seconds(1)), .seconds(60)))
            prefixCache.drop(unusedSince: .now - time)
        }
    }
}
