/// Any choice of pairs of 128-token blocks, one bit for each pair of the lower triangle.
///
/// A pair of query position p and key t is kept when t ≤ p and the pair of blocks (⌊p / 128⌋, ⌊t / 128⌋) of *absolute* positions
/// is; a query block always keeps itself, and the last `denseLastRows` rows keep everything.
/// Memory: about blocks² / 16 bytes.
public struct BlockMask: Hashable, Sendable {
    /// Tokens in a block, of queries as of keys.
    public static let blockSize = 128

    /// Query blocks, and key blocks, that the mask speaks of: positions below `blocks` · 128.
    public let blocks: Int
    /// Rows at the end of the keys that are computed densely.
    public let denseLastRows: Int
    /// Row q holds ⌊q / 64⌋ + 1 words; bit k of a row is key block k.
    private let words: [UInt64]

    /// Asks `keeps` once for every pair below the diagonal. O(blocks²).
    public init(blocks: Int, denseLastRows: Int = 0, keeps: (_ queryBlock: Int, _ keyBlock: Int) -> Bool) {
        precondition(blocks >= 0, "a mask cannot have a negative number of blocks")
        precondition(denseLastRows >= 0, "denseLastRows cannot be negative")
        self.blocks = blocks
        self.denseLastRows = denseLastRows
        var words: [UInt64] = []
        words.reserveCapacity(Self.offset(ofRow: blocks))
        for queryBlock in 0..<blocks {
            var row = BlockRow(queryBlock: queryBlock)
            for keyBlock in 0..<queryBlock where keeps(queryBlock, keyBlock) { row.insert(keyBlock) }
            words += row.words
        }
        self.words = words
    }

    /// True when any pair of the two blocks is kept. `queryBlock` must be below `blocks`. O(1).
    public func keeps(queryBlock: Int, keyBlock: Int) -> Bool {
        precondition(queryBlock < blocks, "a block mask covers every query")
        guard keyBlock <= queryBlock else { return false }
        return words[Self.offset(ofRow: queryBlock) + keyBlock / 64] >> (keyBlock % 64) & 1 == 1
    }

    /// The fewest blocks that hold `tokens` positions: ⌈tokens / 128⌉.
    public static func blockCount(tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// The words of one query block, laid out as in `BlockRow`.
    func row(_ queryBlock: Int) -> ArraySlice<UInt64> {
        precondition(queryBlock < blocks, "a block mask covers every query")
        return words[Self.offset(ofRow: queryBlock)..<Self.offset(ofRow: queryBlock + 1)]
    }

    /// Σ_{r < row} (⌊r / 64⌋ + 1): g groups of 64 rows hold 64 · (1 + … + g) words, and each later row g + 1.
    private static func offset(ofRow row: Int) -> Int {
        let group = row / 64
        return (32 * group + row % 64) * (group + 1)
    }
}
