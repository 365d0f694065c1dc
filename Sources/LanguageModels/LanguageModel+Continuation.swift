import AttentionCore

extension LanguageModel {
    /// True when a prompt may go on from the rows of a cache: they are turned as a prefill of the whole prompt would turn them.
    ///
    /// A rotary embedding whose frequencies follow the sequence's length turns the same token otherwise in a longer one. A dynamic base does so
    /// from the model's original length on, and LongRoPE once, where its long factors take over; all other embeddings depend on
    /// positions alone.
    ///
    /// - Parameter promptLength: of the whole prompt, with what the cache holds. Units: tokens.
    package func canContinue(_ cache: KeyValueCache, promptLength: Int) -> Bool {
        guard cache.count == cache.position else { return false }
        return Set(description.layers.compactMap(\.attention.rotary)).allSatisfy { rotary in
            func isTurned(asIn length: Int) -> Bool {
                RotaryFrequencies(rotary, length: length) == RotaryFrequencies(rotary, length: promptLength)
            }
            switch rotary.scaling {
            case .longrope: return isTurned(asIn: cache.firstLength)
            case .dynamic: return isTurned(asIn: cache.firstLength) && isTurned(asIn: cache.longestLength)
            default: return true
            }
        }
    }
}
