import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Testing

/// Key blocks listed for each 64 rows, which a lane block brings together in tiles of its own.
@Suite struct ChosenBlocksTests {
    /// How a case is made: each of its heads has lists of blocks of another length.
    struct Size: Sendable {
        let queries, keys, dimension: Int
        var heads = 4
        var keyValueHeads = 2
        var window = 9
        var denseLastRows = 0
    }

    /// One row block a key-value head, for which nothing is packed ahead, and many; rows that are done one by one; cached keys, so that rows
    /// begin and end within a query block; keys that end within a unit of 16; windows shorter and longer than a lane block.
    static let sizes: [Size] = [
        Size(queries: 3, keys: 200, dimension: 20), Size(queries: 60, keys: 700, dimension: 64, heads: 2),
        Size(queries: 61, keys: 701, dimension: 7, heads: 2), Size(queries: 130, keys: 517, dimension: 64, window: 1),
        Size(queries: 300, keys: 300, dimension: 33, window: 100), Size(queries: 331, keys: 555, dimension: 64, denseLastRows: 70),
    ]

    /// Half of the blocks, so that tiles hold neighbours and such that stand apart; of the last head all, in runs that fill tiles; of its
    /// list the blocks after the rows as well.
    static func patterns(_ size: Size) -> [SparsePattern] {
        var random = SeededGenerator(seed: UInt64(size.keys))
        return (0..<size.heads).map { head in
            let tokens = WindowKeyBlocks.blockLengths[head % WindowKeyBlocks.blockLengths.count]
            let share = head == size.heads - 1 ? 1 : 0.5
            let lists = (0..<(size.keys + 63) / 64).map { _ in
                (0..<(size.keys + tokens - 1) / tokens).filter { _ in random.uniform() < share }.map(Int32.init)
            }
            return .windowKeyBlocks(
                WindowKeyBlocks(
                    window: size.window, sinks: 3 * head, blockTokens: tokens, lists: lists, denseLastRows: size.denseLastRows))
        }
    }

    static func shape(_ size: Size, rule: ScoreRule = .standard) -> AttentionShape {
        AttentionShape(
            queryHeads: size.heads, keyValueHeads: size.keyValueHeads, queryCount: size.queries, keyCount: size.keys,
            headDimension: size.dimension, scores: rule)
    }

    @Test(arguments: sizes) func matchesOracle(size: Size) throws {
        let (shape, patterns) = (Self.shape(size), Self.patterns(size))
        try AttentionKernelTests.compare(.init(shape: shape, patterns: patterns, seed: 3)) {
            patterns[$0].keeps(key: $1, position: $2, shape: shape)
        }
    }

    @Test(arguments: [Size(queries: 2, keys: 90, dimension: 20), Size(queries: 150, keys: 333, dimension: 20)])
    func matchesOracleOnEveryScoreRule(size: Size) throws {
        for rule in [ScoreRule(softCap: 1.5), ScoreRule(softCap: 1.5, sinks: [-40, -1, 3, 60])] {
            let (shape, patterns) = (Self.shape(size, rule: rule), Self.patterns(size))
            try AttentionKernelTests.compare(.init(shape: shape, patterns: patterns, seed: 4)) {
                patterns[$0].keeps(key: $1, position: $2, shape: shape)
            }
        }
    }

    /// Rows of a lane block share a list, and up to four lane blocks a row block.
    @Test(arguments: [(300, 300), (500, 813), (4, 70)]) func laneBlocksStandInOneQueryBlock(queries: Int, keys: Int) {
        let size = Size(queries: queries, keys: keys, dimension: 8, denseLastRows: 40)
        let (shape, pattern) = (Self.shape(size), Self.patterns(size)[1])
        let blocks = AttentionPlan.rowBlocks(head: 0, parts: pattern.parts, shape: shape, laneBlocks: AttentionPlan.mostLaneBlocks)
        var covered: [Int] = []
        for block in blocks {
            let lanes = RowBlockTiles(block, parts: pattern.parts, shape: shape).lanes
            #expect(lanes.count <= AttentionPlan.mostLaneBlocks)
            if !block.isDense { #expect(lanes.allSatisfy { $0.lowerBound / 64 == ($0.upperBound - 1) / 64 }) }
            covered += lanes.joined()
        }
        #expect(covered == Array(shape.firstPosition..<keys))
        let most = blocks.filter { !$0.isDense }.map { RowBlockTiles($0, parts: pattern.parts, shape: shape).lanes.count }.max()
        #expect(queries < 300 || most == AttentionPlan.mostLaneBlocks)
    }

    @Test func planRefusesBlocksThatAreNotThere() {
        let shape = Self.shape(Size(queries: 4, keys: 64, dimension: 8, heads: 1, keyValueHeads: 1))
        #expect(throws: InputError.self) {
            try AttentionPlan(
                shape: shape, patterns: [.windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 0, blockTokens: 32, lists: [[2]]))])
        }
    }
}
