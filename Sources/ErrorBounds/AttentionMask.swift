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
    /// O(columns) for a window with columns, O(kept blocks) for blocks and lines and lists of them; a union asks its members in turn.
    public func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
        switch self {
        case .dense: body(0..<position + 1)
        case .windowColumns(let pattern):
            if position >= shape.keyCount - pattern.denseLastRows { return body(0..<position + 1) }
            let windowStart = max(0, position - pattern.window + 1)
            for column in pattern.columns.prefix(pattern.columnCount(below: windowStart)) { body(Int(column)..<Int(column) + 1) }
            body(windowStart..<position + 1)
        case .columnsSlashes, .blocks:
            let parts = parts
            if position >= shape.keyCount - parts.denseLastRows { return body(0..<position + 1) }
            for block in parts.keyBlocks(queryBlock: position / BlockMask.blockSize).map(Int.init) {
                body(block * BlockMask.blockSize..<min((block + 1) * BlockMask.blockSize, position + 1))
            }
        case .windowKeyBlocks(let pattern):
            if position >= shape.keyCount - pattern.denseLastRows { return body(0..<position + 1) }
            if pattern.sinks > 0 { body(0..<min(pattern.sinks, position + 1)) }
            let size = pattern.blockTokens
            for block in pattern.keyBlocks(queryBlock: position / WindowKeyBlocks.queryBlockRows).map(Int.init)
            where block * size <= position {
                body(block * size..<min((block + 1) * size, position + 1))
            }
            body(max(0, position - pattern.window + 1)..<position + 1)
        case .union(let members):
            for member in members { member.forEachKeptRun(position: position, shape: shape, body) }
        }
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
