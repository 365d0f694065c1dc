import AttentionCore

/// What attending in one layer kept and what it cost.
public struct AttentionReport: Sendable {
    /// What each query head kept; none where it is no pattern, as in hash buckets.
    public let patterns: [SparsePattern]
    /// Kept pairs of each query head.
    public let keptPairs: [Int]
    /// Causal pairs of one head.
    public let causalPairs: Int
    /// Each head's mass in the sampled rows; 1 for dense heads, nil where nothing was sampled.
    public let sampledMass: [Double?]
    /// What can be said of each head's retained mass; nil when it was not asked for.
    public let certificates: [Certificate]?
    public let selectionSeconds: Double
    /// Certificates, and what heads that missed the least mass did about it; 0 without.
    public let certificateSeconds: Double
    public let kernelSeconds: Double

    /// Kept over causal pairs, all heads together.
    public var density: Double { Double(keptPairs.reduce(0, +)) / Double(causalPairs * keptPairs.count) }
}

extension AttentionReport {
    /// What a method reports that samples no rows and certifies nothing.
    ///
    /// - Parameters:
    ///   - patterns: one a query head; none where what was kept is no pattern.
    ///   - keptPairs: computed pairs of each query head.
    public init(
        patterns: [SparsePattern] = [], keptPairs: [Int], causalPairs: Int, selectionSeconds: Double, kernelSeconds: Double
    ) {
        self.init(
            patterns: patterns, keptPairs: keptPairs, causalPairs: causalPairs, sampledMass: keptPairs.map { _ in nil }, certificates: nil,
            selectionSeconds: selectionSeconds, certificateSeconds: 0, kernelSeconds: kernelSeconds)
    }
}
