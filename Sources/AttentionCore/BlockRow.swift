/// The key blocks one query block keeps, as a bit set over `0 ... queryBlock`; the query block itself is always in it.
struct BlockRow {
    /// Bit k % 64 of word ⌊k / 64⌋ is key block k.
    private(set) var words: [UInt64]
    let queryBlock: Int

    init(queryBlock: Int) {
        self.queryBlock = queryBlock
        words = Array(repeating: 0, count: queryBlock / 64 + 1)
        insert(queryBlock)
    }

    mutating func insert(_ keyBlock: Int) { words[keyBlock / 64] |= 1 << (keyBlock % 64) }

    mutating func formUnion(_ mask: BlockMask) {
        for (index, word) in mask.row(queryBlock).enumerated() { words[index] |= word }
    }

    /// O(columns + slashes up to the query block).
    mutating func formUnion(_ lines: ColumnsSlashes) {
        for column in lines.columns.prefix(lines.columns.count(below: queryBlock)) { insert(Int(column)) }
        for slash in lines.slashes.prefix(lines.slashes.count(below: queryBlock + 1)) { insert(queryBlock - Int(slash)) }
    }

    func contains(_ keyBlock: Int) -> Bool { words[keyBlock / 64] >> (keyBlock % 64) & 1 == 1 }

    /// Ascending.
    var keyBlocks: [Int32] {
        var blocks: [Int32] = []
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                blocks.append(Int32(index * 64 + rest.trailingZeroBitCount))
                rest &= rest - 1
            }
        }
        return blocks
    }

    /// Entry k is the number of kept key blocks below k, for k in `0 ... queryBlock`. O(queryBlock).
    var countsBelow: [Int] {
        var counts = [0]
        counts.reserveCapacity(queryBlock + 1)
        for keyBlock in 0..<queryBlock { counts.append(counts[keyBlock] + (contains(keyBlock) ? 1 : 0)) }
        return counts
    }
}
