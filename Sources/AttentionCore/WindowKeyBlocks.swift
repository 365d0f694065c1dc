/// The pattern of heads that look things up: each query sees its last `window` positions (itself included), the first `sinks` keys, the key
/// blocks chosen for its query block, and, in the last `denseLastRows` rows, everything.
///
/// A query block is the 64 rows of `queryBlockRows`, a key block `blockTokens` keys, both counted from position 0 whatever the number of
/// cached keys. A pair of query position p and key t ≤ p is kept when t > p − window, t < sinks, or ⌊t / blockTokens⌋ is one of
/// `keyBlocks(queryBlock: ⌊p / 64⌋)`.
/// Source: block top-k selection as in Quest (arXiv 2406.10774), MoBA (arXiv 2502.13189) and XAttention (arXiv 2503.16428), here for small
/// blocks of keys chosen by the largest single score.
public struct WindowKeyBlocks: Hashable, Sendable {
    /// Query rows that share a list of key blocks.
    public static let queryBlockRows = 64
    /// Lengths that a key block may have.
    public static let blockLengths = [16, 32, 64, 128]

    /// Positions a query sees back from itself, itself included; at least 1, so that no row is empty.
    public let window: Int
    /// Keys at the start that every row keeps.
    public let sinks: Int
    /// Keys of a block, one of `blockLengths`.
    public let blockTokens: Int
    /// The query block of the first list.
    public let firstQueryBlock: Int
    /// Rows at the end of the keys that are computed densely.
    public let denseLastRows: Int
    /// The lists after each other; list i is `blocks[starts[i]..<starts[i + 1]]`.
    private let blocks: [Int32]
    private let starts: [Int]

    /// - Parameters:
    ///   - firstQueryBlock: the query block of the first list; query blocks outside the lists have no key blocks.
    ///   - lists: one list a query block, each strictly ascending. Keys after a row are never kept, whatever the lists say.
    public init(window: Int, sinks: Int, blockTokens: Int, firstQueryBlock: Int = 0, lists: [[Int32]], denseLastRows: Int = 0) {
        precondition(window >= 1, "a window holds at least the query itself")
        precondition(sinks >= 0 && denseLastRows >= 0 && firstQueryBlock >= 0, "counts cannot be negative")
        precondition(Self.blockLengths.contains(blockTokens), "key blocks have one of a few lengths")
        precondition(lists.allSatisfy(\.isAscendingIndices), "key blocks are indices, strictly ascending")
        self.window = window
        self.sinks = sinks
        self.blockTokens = blockTokens
        self.firstQueryBlock = firstQueryBlock
        self.denseLastRows = denseLastRows
        blocks = Array(lists.joined())
        starts = lists.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    }

    /// Query blocks that have lists.
    public var queryBlocks: Range<Int> { firstQueryBlock..<firstQueryBlock + starts.count - 1 }

    /// The key blocks chosen for a query block: ascending, none where it has no list. O(1).
    public func keyBlocks(queryBlock: Int) -> ArraySlice<Int32> {
        guard queryBlocks.contains(queryBlock) else { return [] }
        return blocks[starts[queryBlock - firstQueryBlock]..<starts[queryBlock - firstQueryBlock + 1]]
    }

    /// True when a key block was chosen for a query block. O(list).
    public func keeps(queryBlock: Int, keyBlock: Int) -> Bool { keyBlocks(queryBlock: queryBlock).contains(Int32(keyBlock)) }

    /// The last key block of any list. O(lists), as each is ascending.
    public var lastKeyBlock: Int32? {
        (1..<starts.count).lazy.compactMap { self.starts[$0] > self.starts[$0 - 1] ? self.blocks[self.starts[$0] - 1] : nil }.max()
    }
}
