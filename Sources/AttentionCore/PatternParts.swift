/// Any pattern as one union of simple parts, which is what a kernel runs.
///
/// Query position p keeps key t ≤ p when `isDense`, or t > p − window, or t ∈ columns, or the parts keep the pair of blocks
/// (⌊p / 128⌋, ⌊t / 128⌋), or t is in a block chosen for the 64 rows of query block ⌊p / 64⌋, or p ≥ keyCount − denseLastRows.
public struct PatternParts: Hashable, Sendable {
    /// Everything is kept; the other parts are then the least there are.
    public let isDense: Bool
    /// Positions a query sees back from itself, itself included: the largest of the members', 1 when none has a window.
    public let window: Int
    /// Key positions kept for every later query, of all members: strictly ascending.
    public let columns: [Int32]
    /// Rows at the end of the keys that are computed densely: the largest of the members'.
    public let denseLastRows: Int
    /// The block columns and slashes of all members, `nil` when none has any; its own `denseLastRows` is 0.
    private let lines: ColumnsSlashes?
    private let masks: [BlockMask]
    /// The key blocks that members list for each 64 rows, `nil` when none does.
    let chosenBlocks: ChosenBlocks?

    fileprivate init(
        isDense: Bool = false, window: Int = 1, columns: [Int32] = [], denseLastRows: Int = 0, lines: ColumnsSlashes? = nil,
        masks: [BlockMask] = [], chosenBlocks: ChosenBlocks? = nil
    ) {
        self.isDense = isDense
        self.window = window
        self.columns = columns
        self.denseLastRows = denseLastRows
        self.lines = lines.map { ColumnsSlashes(columns: $0.columns, slashes: $0.slashes) }
        self.masks = masks
        self.chosenBlocks = chosenBlocks
    }

    fileprivate static func union(_ members: [PatternParts]) -> PatternParts {
        precondition(!members.isEmpty, "a union has at least one member")
        if members.contains(where: \.isDense) { return PatternParts(isDense: true) }
        return PatternParts(
            window: members.map(\.window).max()!, columns: .merging(members.map(\.columns)),
            denseLastRows: members.map(\.denseLastRows).max()!, lines: merge(members.compactMap(\.lines)),
            masks: members.flatMap(\.masks), chosenBlocks: .merging(members.compactMap(\.chosenBlocks)))
    }

    /// A pair on a line of any member is on a line of the merged lists, and the other way round.
    private static func merge(_ lines: [ColumnsSlashes]) -> ColumnsSlashes? {
        if lines.isEmpty { return nil }
        return ColumnsSlashes(columns: .merging(lines.map(\.columns)), slashes: .merging(lines.map(\.slashes)))
    }

    /// True when pairs of 128-token blocks are part of the pattern.
    public var hasBlocks: Bool { lines != nil || !masks.isEmpty }

    /// True when lists of key blocks, one for each 64 rows, are part of the pattern.
    public var hasChosenBlocks: Bool { chosenBlocks != nil }

    /// The keys chosen for the 64 rows of a query block of `WindowKeyBlocks`, but for those that pairs of 128-token blocks keep anyway.
    ///
    /// Window, token columns and dense rows may hold some of them too. O(list), times O(log columns + log slashes + masks) beside blocks.
    public func chosenKeys(queryBlock: Int) -> ChosenKeys {
        let units = chosenBlocks?.units(queryBlock: queryBlock) ?? []
        guard hasBlocks else { return ChosenKeys(units: units) }
        let query = queryBlock * WindowKeyBlocks.queryBlockRows / BlockMask.blockSize
        return ChosenKeys(
            units: units.filter { !keepsBlock(query: query, key: Int($0) * ChosenKeys.unitTokens / BlockMask.blockSize) })
    }

    /// The key blocks that query block `queryBlock` keeps: ascending, none above it, itself among them; none at all without
    /// `hasBlocks`.
    ///
    /// Window, token columns and dense rows are not in it. O(columns + slashes + masks · queryBlock / 64 + kept blocks).
    public func keyBlocks(queryBlock: Int) -> [Int32] { hasBlocks ? blockRow(queryBlock).keyBlocks : [] }

    /// True when `key` is one of `keyBlocks(queryBlock: query)`; both are block indices. O(log columns + log slashes + masks).
    public func keepsBlock(query: Int, key: Int) -> Bool {
        (lines?.keeps(queryBlock: query, keyBlock: key) ?? false) || masks.contains { $0.keeps(queryBlock: query, keyBlock: key) }
    }

    func blockRow(_ queryBlock: Int) -> BlockRow {
        var row = BlockRow(queryBlock: queryBlock)
        if let lines { row.formUnion(lines) }
        for mask in masks { row.formUnion(mask) }
        return row
    }
}

extension SparsePattern {
    /// The pattern's normal form: its members' parts, merged. O(n log n) in the lengths of the members' lists.
    public var parts: PatternParts {
        switch self {
        case .dense: PatternParts(isDense: true)
        case .windowColumns(let pattern):
            PatternParts(window: pattern.window, columns: pattern.columns, denseLastRows: pattern.denseLastRows)
        case .columnsSlashes(let pattern): PatternParts(denseLastRows: pattern.denseLastRows, lines: pattern)
        case .blocks(let mask): PatternParts(denseLastRows: mask.denseLastRows, masks: [mask])
        case .windowKeyBlocks(let pattern):
            PatternParts(
                window: pattern.window, columns: (0..<Int32(clamping: pattern.sinks)).map(\.self), denseLastRows: pattern.denseLastRows,
                chosenBlocks: ChosenBlocks(pattern))
        case .union(let members): .union(members.map(\.parts))
        }
    }
}
