import AttentionCore

/// A pattern with its own definition, written from tables and without the library's lists, bit sets or searches.
public struct PatternCase: Sendable, CustomStringConvertible {
    public let description: String
    public let shape: AttentionShape
    public let pattern: SparsePattern
    /// For keys up to the position; causality is the reader's.
    public let keeps: @Sendable (_ key: Int, _ position: Int) -> Bool

    /// Every kind in turn, in shapes of up to about 700 keys, with and without cached keys before the queries.
    public static let all: [PatternCase] = (0..<120).map { seed in
        var random = SeededGenerator(seed: UInt64(seed))
        // Half of the cases end at, just before or just after the end of a block.
        let atEdge = 128 * random.below(6) + [-1, 0, 1][random.below(3)]
        let keys = max(1, seed.isMultiple(of: 2) ? atEdge : 1 + random.below(700))
        let queries = random.below(3) == 0 ? keys : 1 + random.below(keys)
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: queries, keyCount: keys, headDimension: 4)
        let kind = Kind.allCases[seed % Kind.allCases.count]
        let (pattern, keeps) = random.pattern(kind, keys: keys)
        return PatternCase(
            description: "seed \(seed): \(kind), \(queries) queries, \(keys) keys", shape: shape, pattern: pattern, keeps: keeps)
    }

    enum Kind: CaseIterable {
        case dense, windowColumns, columnsSlashes, blocks, unionOfTwo, unionOfMany, nestedUnion
        case windowKeyBlocks, unionOfKeyBlocks, keyBlocksAndMore
    }
}

extension SeededGenerator {
    typealias Definition = @Sendable (_ key: Int, _ position: Int) -> Bool

    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    fileprivate mutating func pattern(_ kind: PatternCase.Kind, keys: Int) -> (SparsePattern, Definition) {
        switch kind {
        case .dense: return (.dense, { _, _ in true })
        case .windowColumns: return windowColumns(keys)
        case .columnsSlashes: return columnsSlashes(keys)
        case .blocks: return blocks(keys)
        case .unionOfTwo: return union([windowColumns(keys), below(2) == 0 ? columnsSlashes(keys) : blocks(keys)])
        case .unionOfMany:
            return union([columnsSlashes(keys), windowColumns(keys), blocks(keys), columnsSlashes(keys), blocks(keys), windowColumns(keys)])
        case .windowKeyBlocks: return windowKeyBlocks(keys)
        case .unionOfKeyBlocks: return union([windowKeyBlocks(keys), windowKeyBlocks(keys), windowColumns(keys)])
        case .keyBlocksAndMore:
            return union([windowKeyBlocks(keys), below(2) == 0 ? columnsSlashes(keys) : blocks(keys), windowColumns(keys)])
        case .nestedUnion:
            let inner = union([blocks(keys), windowColumns(keys)])
            return union([below(3) == 0 ? pattern(.dense, keys: keys) : columnsSlashes(keys), inner])
        }
    }

    private mutating func union(_ members: [(SparsePattern, Definition)]) -> (SparsePattern, Definition) {
        let definitions = members.map(\.1)
        return (.union(members.map(\.0)), { key, position in definitions.contains { $0(key, position) } })
    }

    private mutating func windowColumns(_ keys: Int) -> (SparsePattern, Definition) {
        let window = 1 + below([3, 40, 300][below(3)])
        let isColumn = flags(keys, share: [0, 0.02, 0.3][below(3)])
        let dense = denseLastRows()
        return (
            .windowColumns(WindowColumns(window: window, columns: indices(isColumn), denseLastRows: dense)),
            { key, position in position - key < window || isColumn[key] || keys - position <= dense }
        )
    }

    private mutating func columnsSlashes(_ keys: Int) -> (SparsePattern, Definition) {
        let blocks = (keys + 127) / 128
        let (isColumn, isSlash) = (flags(blocks, share: 0.25), flags(blocks + 2, share: 0.25))
        let dense = denseLastRows()
        return (
            .columnsSlashes(ColumnsSlashes(columns: indices(isColumn), slashes: indices(isSlash), denseLastRows: dense)),
            { key, position in
                let offset = position / 128 - key / 128
                return offset == 0 || isColumn[key / 128] || isSlash[offset] || keys - position <= dense
            }
        )
    }

    /// Sometimes one block more than the keys need.
    private mutating func blocks(_ keys: Int) -> (SparsePattern, Definition) {
        let blocks = (keys + 127) / 128 + below(2)
        let kept = (0..<blocks).map { _ in flags(blocks, share: 0.3) }
        let dense = denseLastRows()
        return (
            .blocks(BlockMask(blocks: blocks, denseLastRows: dense) { kept[$0][$1] }),
            { key, position in
                key / 128 == position / 128 || kept[position / 128][key / 128] || keys - position <= dense
            }
        )
    }

    /// Lists for some of the query blocks, of blocks anywhere: in the past, among the sinks, in the window, on the diagonal and after the rows.
    private mutating func windowKeyBlocks(_ keys: Int) -> (SparsePattern, Definition) {
        let tokens = WindowKeyBlocks.blockLengths[below(4)]
        let (window, sinks) = (1 + below([3, 40, 300][below(3)]), [0, 4, 37, 2000][below(below(4) + 1)])
        let blocks = (keys + tokens - 1) / tokens
        let first = below(3) == 0 ? below(4) : 0
        let share = [0.1, 0.3, 0.8][below(3)]
        let chosen = (0..<max(0, (keys + 63) / 64 - first + below(3) - 1)).map { _ in flags(blocks, share: share) }
        let dense = denseLastRows()
        return (
            .windowKeyBlocks(
                WindowKeyBlocks(
                    window: window, sinks: sinks, blockTokens: tokens, firstQueryBlock: first, lists: chosen.map(indices),
                    denseLastRows: dense)),
            { key, position in
                let list = position / 64 - first
                return position - key < window || key < sinks || keys - position <= dense
                    || chosen.indices.contains(list) && chosen[list][key / tokens]
            }
        )
    }

    private mutating func flags(_ count: Int, share: Double) -> [Bool] { (0..<count).map { _ in uniform() < share } }

    private mutating func denseLastRows() -> Int { below(2) == 0 ? 0 : below(200) }

    private func indices(_ flags: [Bool]) -> [Int32] { flags.indices.filter { flags[$0] }.map(Int32.init) }
}
