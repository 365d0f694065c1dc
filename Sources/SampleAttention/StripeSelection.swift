import AttentionCore

/// The key columns one head keeps beside its window, and what the sampled rows say about them.
public struct StripeSelection: Sendable, Hashable {
    /// Key positions, ascending.
    public let columns: [Int32]
    /// The share of the sampled rows' mass that window and columns hold: an average over sampled rows, not a minimum. Not a number
    /// where the masses are not finite: then the choice has no meaning.
    public let sampledMass: Double

    /// The fewest columns, by descending mass (ties to the lower position), so that the kept share reaches α.
    ///
    /// Window-aware: `columnMass` is the mass outside the window, and `(window mass + Σ selected) / rows ≥ α`.
    /// The paper's rule: `columnMass` is all mass, and `Σ selected / rows ≥ α` whatever the window holds.
    /// Sinks are kept first and count. α = 1 keeps every column with any mass. With a `columnCount` the heaviest columns are
    /// kept up to that count, sinks among them, and α is not asked.
    ///
    /// - Parameters:
    ///   - columnMass: [keyCount], from `SampledScores.columnMasses`.
    ///   - rows: the number of sampled rows; each carries a total mass of 1.
    /// Complexity: O(keyCount).
    /// Source: SampleAttention (arXiv 2406.15486), score-based key-value filtering.
    public static func fewest(columnMass: [Float], rows: Int, parameters: SampleAttentionParameters) -> StripeSelection {
        let total = Double(rows)
        let masses = FewestToReach(columnMass, keepingFirst: parameters.sinks)
        let windowMass = parameters.columnScoring == .windowAware ? (total - masses.total).clamped(to: 0...total) : 0
        let target = parameters.alpha == .one ? Double.infinity : parameters.alpha.value * total - windowMass
        let (columns, kept) = parameters.columnCount.map(masses.positions(heaviest:)) ?? masses.positions(reaching: target)
        let share = masses.total.isFinite ? ((windowMass + kept) / total).clampedShare : .nan
        return StripeSelection(columns: columns, sampledMass: rows == 0 ? 1 : share)
    }
}
