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
            return key > position - pattern.window || pattern.containsColumn(key)
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

/// The stripe-window pattern of SampleAttention: each query sees its last `window` positions (itself included), the key
/// `columns`, and, in the last `denseLastRows` rows, everything.
///
/// Source: SampleAttention (arXiv 2406.15486), the structured mask M̂ = M_window ∪ M_stripe.
public struct WindowColumns: Hashable, Sendable {
    /// Positions a query sees back from itself, itself included; at least 1, so that no row is empty.
    public let window: Int
    /// Key positions kept for every later query; strictly ascending.
    public let columns: [Int32]
    /// Rows at the end of the keys that are computed densely.
    public let denseLastRows: Int

    public init(window: Int, columns: [Int32], denseLastRows: Int = 0) {
        precondition(window >= 1, "a window holds at least the query itself")
        precondition(denseLastRows >= 0, "denseLastRows cannot be negative")
        precondition(zip(columns, columns.dropFirst()).allSatisfy { $0 < $1 }, "columns must be strictly ascending")
        precondition(columns.first.map { $0 >= 0 } ?? true, "columns are key positions")
        self.window = window
        self.columns = columns
        self.denseLastRows = denseLastRows
    }

    /// The number of columns below `key`. O(log columns).
    public func columnCount(below key: Int) -> Int {
        var low = 0
        var high = columns.count
        while low < high {
            let middle = (low + high) / 2
            if Int(columns[middle]) < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func containsColumn(_ key: Int) -> Bool {
        let index = columnCount(below: key)
        return index < columns.count && Int(columns[index]) == key
    }

    func keptPairs(_ shape: AttentionShape) -> Int {
        var pairs = 0
        let firstDense = shape.keyCount - denseLastRows
        var below = columnCount(below: shape.firstPosition - window + 1)
        for position in shape.firstPosition..<shape.keyCount {
            if position >= firstDense {
                pairs += position + 1
                continue
            }
            while below < columns.count && Int(columns[below]) <= position - window { below += 1 }
            pairs += min(window, position + 1) + below
        }
        return pairs
    }
}
