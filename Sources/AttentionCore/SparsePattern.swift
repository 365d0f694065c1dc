/// Which causal (query, key) pairs one head keeps. A pure value: no model, no data.
public enum SparsePattern: Hashable, Sendable {
    /// Every causal pair.
    case dense
    /// A sliding window, some key columns, and dense last rows.
    case windowColumns(WindowColumns)

    /// True when row `position` keeps `key`.
    public func keeps(key: Int, position: Int, shape: AttentionShape) -> Bool {
        guard key <= position else { return false }
        switch self {
        case .dense: return true
        case .windowColumns(let pattern):
            if position >= shape.keyCount - pattern.denseLastRows { return true }
            return key > position - pattern.window || pattern.columns.containsIndex(key)
        }
    }

    /// The exact number of kept pairs of one head; density is this over `shape.causalPairs`. O(queries + columns).
    public func keptPairs(_ shape: AttentionShape) -> Int {
        switch self {
        case .dense: return shape.causalPairs
        case .windowColumns(let pattern): return pattern.keptPairs(shape)
        }
    }

    /// Kept pairs over causal pairs of one head.
    public func density(_ shape: AttentionShape) -> Double {
        Double(keptPairs(shape)) / Double(shape.causalPairs)
    }
}
