/// Which causal (query, key) pairs one head keeps. A pure value: no model, no data.
///
/// Blocks are the 128 tokens of `BlockMask.blockSize`, except where a pattern says otherwise, and are counted from position 0 whatever the
/// number of cached keys.
public enum SparsePattern: Hashable, Sendable {
    /// Every causal pair.
    case dense
    /// A sliding window, some key columns, and dense last rows.
    case windowColumns(WindowColumns)
    /// Columns and slashes of 128-token blocks, and dense last rows.
    case columnsSlashes(ColumnsSlashes)
    /// Any pairs of 128-token blocks, and dense last rows.
    case blocks(BlockMask)
    /// A sliding window, the first keys, blocks of 16 to 128 keys chosen for each 64 rows, and dense last rows.
    case windowKeyBlocks(WindowKeyBlocks)
    /// What any member keeps; at least one member.
    case union([SparsePattern])

    /// True when row `position` keeps `key`.
    ///
    /// Complexity: O(log columns + log slashes + log list) for one member; a union asks its members in turn.
    public func keeps(key: Int, position: Int, shape: AttentionShape) -> Bool {
        guard key <= position else { return false }
        let (queryBlock, keyBlock) = (position / BlockMask.blockSize, key / BlockMask.blockSize)
        switch self {
        case .dense: return true
        case .windowColumns(let pattern):
            if position >= shape.keyCount - pattern.denseLastRows { return true }
            return key > position - pattern.window || pattern.columns.containsIndex(key)
        case .columnsSlashes(let pattern):
            return position >= shape.keyCount - pattern.denseLastRows || pattern.keeps(queryBlock: queryBlock, keyBlock: keyBlock)
        case .blocks(let mask):
            return position >= shape.keyCount - mask.denseLastRows || mask.keeps(queryBlock: queryBlock, keyBlock: keyBlock)
        case .windowKeyBlocks(let pattern):
            if position >= shape.keyCount - pattern.denseLastRows { return true }
            return key > position - pattern.window || key < pattern.sinks
                || pattern.keeps(queryBlock: position / WindowKeyBlocks.queryBlockRows, keyBlock: key / pattern.blockTokens)
        case .union(let members):
            precondition(!members.isEmpty, "a union has at least one member")
            return members.contains { $0.keeps(key: key, position: position, shape: shape) }
        }
    }

    /// The exact number of kept pairs of one head; density is this over `shape.causalPairs`.
    ///
    /// A block mask must cover every key, which `validate` checks.
    /// Complexity: O(queries + columns) without blocks, O(blocks² + queries + blocks · columns) with them; and O(n log columns) for lists
    /// of n key blocks.
    public func keptPairs(_ shape: AttentionShape) -> Int {
        switch self {
        case .dense: shape.causalPairs
        case .windowColumns(let pattern): pattern.keptPairs(shape)
        case .columnsSlashes, .blocks, .windowKeyBlocks, .union: parts.keptPairs(shape)
        }
    }

    /// Kept pairs over causal pairs of one head.
    public func density(_ shape: AttentionShape) -> Double {
        Double(keptPairs(shape)) / Double(shape.causalPairs)
    }

    /// Checks that the pattern speaks of the shape's keys: columns are keys, block columns and listed blocks are key blocks, masks cover
    /// every key. More sinks than keys do no harm.
    ///
    /// - Throws: `InputError` (`usage`) naming `columns of head N` or `blocks of head N`. O(members + lists of key blocks).
    public func validate(_ shape: AttentionShape, head: Int) throws(InputError) {
        let keyBlocks = BlockMask.blockCount(tokens: shape.keyCount)
        switch self {
        case .dense: return
        case .windowColumns(let pattern):
            guard let last = pattern.columns.last, Int(last) >= shape.keyCount else { return }
            throw InputError(.usage, field: "columns of head \(head)", value: "\(last)", rule: "must be below the \(shape.keyCount) keys")
        case .columnsSlashes(let pattern):
            guard let last = pattern.columns.last, Int(last) >= keyBlocks else { return }
            throw InputError(.usage, field: "blocks of head \(head)", value: "\(last)", rule: "must be below the \(keyBlocks) key blocks")
        case .blocks(let mask):
            guard mask.blocks < keyBlocks else { return }
            throw InputError(
                .usage, field: "blocks of head \(head)", value: "\(mask.blocks)", rule: "must cover the \(keyBlocks) key blocks")
        case .windowKeyBlocks(let pattern):
            let count = (shape.keyCount + pattern.blockTokens - 1) / pattern.blockTokens
            guard let last = pattern.lastKeyBlock, Int(last) >= count else { return }
            throw InputError(.usage, field: "blocks of head \(head)", value: "\(last)", rule: "must be below the \(count) key blocks")
        case .union(let members):
            precondition(!members.isEmpty, "a union has at least one member")
            for member in members { try member.validate(shape, head: head) }
        }
    }
}
