import AttentionCore

/// The key blocks (columns) and the diagonals of blocks (slashes) one head keeps.
///
/// A slash s holds the pairs of query block b and key block b − s, so slash 0 is the diagonal itself.
///
/// Source: SampleAttention v3 (MLSys 2025; arXiv 2406.15486v3), two-stage filtering into column and slash patterns.
public struct ColumnSlashSelection: Sendable, Hashable {
    /// Keys of a column block, and positions by which neighbouring slashes differ.
    public static let blockTokens = BlockMask.blockSize

    /// Indices of key blocks, ascending.
    public let columns: [Int32]
    /// Offsets query block − key block, ascending; 0 is always the first.
    public let slashes: [Int32]
    /// The share of the sampled rows' mass that the columns alone hold.
    public let columnShare: Double
    /// The share of the sampled rows' mass that the slashes alone hold.
    public let slashShare: Double

    /// What columns and slashes hold together is at least this share: a pair in both counts once, so the two do not add up.
    public var sampledMass: Double { .larger(columnShare, slashShare) }

    /// The fewest column blocks and, independently, the fewest slashes, by descending mass (ties to the lower index), that
    /// reach their shares: `Σ_{j ∈ columns} c_j / Σ_j c_j ≥ α_c` and `Σ_{s ∈ slashes} d_s / Σ_s d_s ≥ α_s`.
    ///
    /// The first ⌈sinks / 128⌉ column blocks and slash 0 are kept first and count. A share of 1 keeps everything with any mass.
    ///
    /// - Parameters:
    ///   - columnMass: the sampled rows' mass in each key block; not empty where there are keys.
    ///   - slashMass: the same mass by query block − key block.
    ///   - parameters: α_c is `alpha`, α_s is `alphaSlashes`, or `alpha` where that is nil.
    /// Complexity: O(blocks).
    /// Source: SampleAttention v3 (MLSys 2025; arXiv 2406.15486v3), thresholds α_c and α_s.
    public static func fewest(columnMass: [Float], slashMass: [Float], parameters: SampleAttentionParameters) -> ColumnSlashSelection {
        let sinks = min(max(0, parameters.sinks), columnMass.count * blockTokens)
        let sinkBlocks = (sinks + blockTokens - 1) / blockTokens
        let columns = fewest(columnMass, keepingFirst: sinkBlocks, share: parameters.alpha)
        let slashes = fewest(slashMass, keepingFirst: 1, share: parameters.alphaSlashes ?? parameters.alpha)
        return ColumnSlashSelection(
            columns: columns.blocks, slashes: slashes.blocks, columnShare: columns.share, slashShare: slashes.share)
    }

    /// The fewest blocks that reach a share of their own total, and the share they hold: all of nothing is 1, and of masses that are not
    /// finite no number.
    private static func fewest(_ masses: [Float], keepingFirst first: Int, share: Fraction) -> (blocks: [Int32], share: Double) {
        let fewest = FewestToReach(masses, keepingFirst: first)
        let (blocks, mass) = fewest.positions(reaching: share == .one ? .infinity : share.value * fewest.total)
        return (blocks, fewest.total == 0 ? 1 : (mass / fewest.total).clampedShare)
    }
}
