/// (left token, right token) → rank and merged token: an open-addressing hash table.
struct MergeTable: Sendable {
    /// Two tokens that become one.
    typealias Merge = (left: Int32, right: Int32, merged: Int32)

    static let noRank = UInt32.max
    private static let empty = UInt64.max

    private var keys: [UInt64]
    private var ranks: [UInt32]
    private let shift: UInt64
    /// The token each merge makes, by rank.
    private let merged: [Int32]

    /// `merges` in the order of their rank. Of a pair that occurs twice the last one counts.
    init(_ merges: [Merge]) {
        // At most half full, so that probes stay short.
        let bits = UInt64(max(4, Int.bitWidth - (merges.count * 2).leadingZeroBitCount))
        keys = Array(repeating: Self.empty, count: 1 << bits)
        ranks = Array(repeating: Self.noRank, count: 1 << bits)
        shift = 64 - bits
        merged = merges.map(\.merged)
        for (rank, merge) in merges.enumerated() {
            let slot = slot(of: Self.key(merge.left, merge.right))
            keys[slot] = Self.key(merge.left, merge.right)
            ranks[slot] = UInt32(rank)
        }
    }

    /// The rank of a pair, `noRank` when it does not merge.
    func rank(_ left: Int32, _ right: Int32) -> UInt32 { ranks[slot(of: Self.key(left, right))] }

    func token(rank: UInt32) -> Int32 { merged[Int(rank)] }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// The slot that holds `key` or, when it is absent, the empty slot where it would go.
    private func slot(of key: UInt64) -> Int {
        var slot = Int((key &* 0x9E37_79B9_7F4A_7C15) >> shift)
        while keys[slot] != key && keys[slot] != Self.empty { slot = (slot + 1) & (keys.count - 1) }
        return slot
    }
}
