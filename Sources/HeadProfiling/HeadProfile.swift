import AttentionCore

/// What one head's attention looks like on one prompt; every number is exact over all query rows (in FP32 probabilities).
public struct HeadProfile: Sendable, Hashable, Codable {
    public let layer, head: Int
    /// SD(α): the largest share of causal pairs that any mask may drop while every query keeps α; in the order of the α asked for.
    public let sparsityDegrees: [Double]
    /// The same with structured masks, CRA ≥ α: every query keeps α.
    public let structured: [StructuredSparsity]
    /// The same with structured masks where the *mean* query keeps α, as the algorithm controls it; rare queries may keep little.
    public let structuredMean: [StructuredSparsity]
    /// SD(α) − the best of the three structured SD(α).
    public let structureGaps: [Double]
    /// Where the mass lies.
    public let masses: MassShares
    /// The mass the given pattern keeps.
    public let retained: RetainedMass
    /// The share of the sampled rows' mass the selection of that pattern saw itself keep; 1 for a dense head, nil where nothing was
    /// sampled.
    public let sampledMass: Double?
    /// Kept over causal pairs of that pattern.
    public let density: Double
    /// The pattern's window in positions (the key count when dense) and its number of columns; blocks count in neither.
    public let window, columns: Int
    /// Window and ever more columns: the window whose mean mass reaches the main α with the fewest pairs.
    public let curve: PatternCurve
    /// Ever more key blocks for each query block.
    public let keyBlockCurve: PatternCurve

    /// Means over query rows of the mass on some keys; in the order of the counts in `ProfileScale`.
    public struct MassShares: Sendable, Hashable, Codable {
        /// On the first keys.
        public let sinks: [Double]
        /// On the keys of a sliding window.
        public let windows: [Double]
        /// On the heaviest columns, windows included (the paper's importance).
        public let columns: [Double]
        /// On the heaviest diagonals of 128-token blocks.
        public let slashes: [Double]
    }
}

/// A head's profile with what comparisons between heads and pictures of it need.
public struct HeadMeasurement: Sendable, Hashable {
    public let profile: HeadProfile
    public let picture: AttentionPicture
    /// The pattern's columns, and what they could be exchanged for.
    public let columns: SelectedColumns
}
