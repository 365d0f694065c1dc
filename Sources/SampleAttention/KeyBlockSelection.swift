import AttentionCore

/// The key blocks that one head keeps for each block of 64 query rows, beside its window and sinks.
///
/// Kept are the blocks with the largest single scores q · k of any row of the query block and any key of the block: a row that looks one
/// thing up needs one key, whatever the others around it weigh.
/// Source: block top-k selection as in Quest (arXiv 2406.10774) and MoBA (arXiv 2502.13189); the maximum of all single scores instead of
/// a bound or a mean of them is this project's.
public struct KeyBlockSelection: Sendable, Hashable {
    /// Keys of a block.
    public let blockTokens: Int
    /// The query block, counted from position 0, of the first list.
    public let firstQueryBlock: Int
    /// The key blocks of each query block, ascending.
    public let lists: [[Int32]]

    /// Key blocks of all query blocks.
    public var count: Int { lists.reduce(0) { $0 + $1.count } }
}

/// What stage 1 found of one head's key blocks: for each query block the heaviest in order, so that any smaller count is a prefix.
///
/// Memory: 4 · depth bytes a query block, which is 4 bytes a row for counts up to 32.
struct KeyBlockRanking: Sendable {
    private let blockTokens: Int
    private let queryBlocks: Range<Int>
    private let depth: Int
    /// [query block][depth], heaviest first, ties to the lower block; `none` after the last.
    private let blocks: [Int32]

    /// Stands where there is no further block.
    static let none: Int32 = -1

    /// - Parameter blocks: [query block][depth].
    init(blockTokens: Int, queryBlocks: Range<Int>, depth: Int, blocks: [Int32]) {
        self.blockTokens = blockTokens
        self.queryBlocks = queryBlocks
        self.depth = depth
        self.blocks = blocks
    }

    /// Blocks that are ranked where `count` are asked for: twice as many, for heads whose certificate wants more, and at least 64, so
    /// that counts up to 32 have a ranking in common.
    static func depth(count: Int) -> Int { max(64, 2 * count) }

    /// Stage 2: the heaviest `count` of each query block. O(query blocks · count · log count).
    func heaviest(_ count: Int) -> KeyBlockSelection {
        let lists = queryBlocks.map { block in
            let start = (block - queryBlocks.lowerBound) * depth
            return blocks[start..<start + min(count, depth)].prefix { $0 != Self.none }.sorted()
        }
        return KeyBlockSelection(blockTokens: blockTokens, firstQueryBlock: queryBlocks.lowerBound, lists: lists)
    }
}
