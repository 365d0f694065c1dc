import AttentionCore
import LanguageModels
import Synchronization

/// Keys and values of conversations, kept so that what follows in one is prefilled alone.
///
/// A prompt goes on from the kept conversation with which it shares most tokens at the beginning. Most of a conversation that is shared is
/// taken over as it is; less of it is copied, for the conversation may go on in its own way. The least recently used ones go first
/// when the bytes come to more than the limit.
package final class PrefixCache: Sendable {
    private let limit: Int
    private let kept = Mutex<[Conversation]>([])

    /// In the order of their last use.
    private struct Conversation {
        /// As many as the cache holds positions.
        let tokens: [Int32]
        let cache: KeyValueCache
        let lastUse: ContinuousClock.Instant
    }

    /// Fewer tokens are computed anew in no time.
    package static let leastTokens = 16

    /// - Parameter limit: of all that is kept; 0 keeps nothing. Units: bytes.
    package init(limit: Int) { self.limit = limit }

    /// Of the kept conversations' whole capacity: memory is taken up to it as positions come.
    package var bytes: Int { kept.withLock { Self.bytes($0) } }
    package var conversations: Int { kept.withLock { $0.count } }

    private static func bytes(_ kept: [Conversation]) -> Int { kept.reduce(0) { $0 + $1.cache.bytes } }

    /// A cache that holds the longest beginning of a prompt that can be reused, and has room for the rest; nil where nothing can. At
    /// least the prompt's last token is left to compute, for its scores are needed.
    ///
    /// - Parameter capacity: of a copy.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory of a copy.
    package func take(_ prompt: [Int32], capacity: Int, model: LanguageModel) throws(InputError) -> KeyValueCache? {
        let best = kept.withLock { kept -> (conversation: Conversation, shared: Int)? in
            let usable = kept.indices.compactMap { index -> (index: Int, shared: Int)? in
                let shared = zip(kept[index].tokens, prompt.dropLast()).prefix { $0 == $1 }.count
                guard shared >= Self.leastTokens, model.canContinue(kept[index].cache, promptLength: prompt.count) else { return nil }
                return (index, shared)
            }
            guard let best = usable.max(by: { $0.shared < $1.shared }) else { return nil }
            return (kept.remove(at: best.index), best.shared)
        }
        guard let (conversation, shared) = best else { return nil }
        let cache = conversation.cache
        if cache.capacity >= prompt.count, 4 * shared >= 3 * conversation.tokens.count {
            cache.removeLast(cache.count - shared)
            return cache
        }
        defer { if 4 * shared < 3 * conversation.tokens.count { keep(conversation.tokens, cache) } }
        return try cache.copy(first: shared, capacity: capacity)
    }

    /// Keeps a conversation as the one that was used last.
    ///
    /// - Parameter tokens: that the cache has seen; it may hold fewer, as after a prefill that was cancelled.
    package func keep(_ tokens: [Int32], _ cache: KeyValueCache) {
        guard cache.count >= Self.leastTokens, cache.count == cache.position, cache.bytes <= limit else { return }
        let conversation = Conversation(tokens: Array(tokens.prefix(cache.count)), cache: cache, lastUse: .now)
        kept.withLock { kept in
            // What it goes on from tells nothing that it does not.
            kept.removeAll { conversation.tokens.starts(with: $0.tokens) }
            kept.append(conversation)
            while Self.bytes(kept) > limit { kept.removeFirst() }
        }
    }

    /// Gives back the memory of conversations that were not used since then.
    package func drop(unusedSince instant: ContinuousClock.Instant) { kept.withLock { $0.removeAll { $0.lastUse < instant } } }
}
