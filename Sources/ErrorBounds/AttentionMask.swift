import AttentionCore

/// Which keys each query row keeps, as runs.
///
/// Contract: runs may come in any order, overlap and reach beyond the causal triangle; who reads them clips to
/// `0 ... position` and counts a key once. A row without a run keeps its own position, as the attention kernel does.
public protocol AttentionMask: Sendable {
    /// Calls `body` with each run of key positions that the query at `position` keeps.
    func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void)
}

extension SparsePattern: AttentionMask {
    /// O(columns) for a window with columns, O(position) pattern queries for any other pattern.
    public func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
        guard case .windowColumns(let pattern) = self, position < shape.keyCount - pattern.denseLastRows else {
            return forEachRunOfKeptKeys(position: position, shape: shape, body)
        }
        let windowStart = max(0, position - pattern.window + 1)
        for column in pattern.columns.prefix(pattern.columnCount(below: windowStart)) {
            body(Int(column)..<Int(column) + 1)
        }
        body(windowStart..<position + 1)
    }

    private func forEachRunOfKeptKeys(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
        var start: Int?
        for key in 0...position {
            if keeps(key: key, position: position, shape: shape) {
                start = start ?? key
            } else if let first = start {
                body(first..<key)
                start = nil
            }
        }
        if let first = start { body(first..<position + 1) }
    }
}

/// A mask given by a predicate on (key, position): for masks that no pattern describes. O(position) calls a row.
public struct PredicateMask: AttentionMask {
    private let keeps: @Sendable (_ key: Int, _ position: Int) -> Bool

    public init(_ keeps: @escaping @Sendable (_ key: Int, _ position: Int) -> Bool) { self.keeps = keeps }

    public func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
        for key in 0...position where keeps(key, position) { body(key..<key + 1) }
    }
}
