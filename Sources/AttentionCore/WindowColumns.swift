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
        precondition(columns.isAscendingIndices, "columns are key positions, strictly ascending")
        self.window = window
        self.columns = columns
        self.denseLastRows = denseLastRows
    }

    /// The number of columns below `key`. O(log columns).
    public func columnCount(below key: Int) -> Int { columns.count(below: key) }

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
