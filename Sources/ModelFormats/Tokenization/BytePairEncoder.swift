/// Merges the bytes of a piece into tokens, pair by pair in the order the merges were learnt.
///
/// Source: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (arXiv 1508.07909),
/// over bytes as in GPT-2. A heap of candidate pairs over a linked list makes a piece of n bytes cost O(n log n).
struct BytePairEncoder: Sendable {
    let byteTokens: ByteTokens
    let merges: MergeTable
    /// The tokens by their bytes when whole pieces are looked up before merging (`ignore_merges`), else nil.
    let wholePieces: [[UInt8]: Int32]?

    /// Appends the tokens of `piece`, and of each the bytes it stands for, counted from the beginning of the piece.
    func encode(
        _ piece: UnsafeBufferPointer<UInt8>, with scratch: inout Scratch, into tokens: inout [Int32], _ ranges: inout [Range<Int>]
    ) {
        if let whole = wholePieces?[Array(piece)] {
            tokens.append(whole)
            ranges.append(0..<piece.count)
        } else {
            scratch.merge(piece, byteTokens: byteTokens, merges: merges, into: &tokens, &ranges)
        }
    }
}

/// The token of each single byte, and what becomes of bytes that have none: nothing, unless the model says otherwise.
struct ByteTokens: Sendable {
    static let none: Int32 = -1

    /// By byte; `none` where the vocabulary holds no token.
    var tokens: [Int32]
    /// `byte_fallback`: by byte, the tokens of the bytes of its spelling; empty where one of them is missing too.
    var fallbacks: [[Int32]] = Array(repeating: [], count: 256)
    /// `unk_token`, and whether one stands for several bytes in a row (`fuse_unk`).
    var unknown: Int32?
    var fusesUnknown = false
}

/// (left token, right token) → rank and merged token: an open-addressing hash table.
struct MergeTable: Sendable {
    static let noRank = UInt32.max
    private static let empty = UInt64.max

    private var keys: [UInt64]
    private var ranks: [UInt32]
    private let shift: UInt64
    /// The token each merge makes, by rank.
    private let merged: [Int32]

    /// `merges` in the order of their rank. Of a pair that occurs twice the last one counts.
    init(_ merges: [(left: Int32, right: Int32, merged: Int32)]) {
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

extension BytePairEncoder {
    /// Memory that one text's pieces share.
    struct Scratch {
        private var tokens: [Int32] = []
        /// The bytes each token stands for.
        private var ranges: [Range<Int>] = []
        private var next: [Int] = []
        private var previous: [Int] = []
        /// The rank of the pair that begins at each position; `noRank` once the position is merged away.
        private var ranks: [UInt32] = []
        private var candidates = CandidateHeap()

        fileprivate mutating func merge(
            _ piece: UnsafeBufferPointer<UInt8>, byteTokens: ByteTokens, merges: MergeTable, into output: inout [Int32],
            _ outputRanges: inout [Range<Int>]
        ) {
            start(piece, byteTokens)
            for position in tokens.indices { rankPair(at: position, merges) }
            while let (rank, position) = candidates.popFirst() {
                // Positions whose pair has changed since are passed over; a rank names its pair.
                guard ranks[position] == rank else { continue }
                tokens[position] = merges.token(rank: rank)
                remove(next[position])
                rankPair(at: position, merges)
                if previous[position] >= 0 { rankPair(at: previous[position], merges) }
            }
            var position = 0
            while position < tokens.count {
                output.append(tokens[position])
                outputRanges.append(ranges[position])
                position = next[position]
            }
        }

        private mutating func start(_ piece: UnsafeBufferPointer<UInt8>, _ byteTokens: ByteTokens) {
            tokens.removeAll(keepingCapacity: true)
            ranges.removeAll(keepingCapacity: true)
            next.removeAll(keepingCapacity: true)
            previous.removeAll(keepingCapacity: true)
            ranks.removeAll(keepingCapacity: true)
            var unknown: Range<Int>?
            for (position, byte) in piece.enumerated() {
                let token = byteTokens.tokens[Int(byte)]
                guard token == ByteTokens.none else {
                    appendUnknown(&unknown, byteTokens)
                    append(token, position..<position + 1)
                    continue
                }
                let fallback = byteTokens.fallbacks[Int(byte)]
                // As the reference does, before unknown bytes that are still waiting.
                for token in fallback { append(token, position..<position + 1) }
                guard fallback.isEmpty else { continue }
                if !byteTokens.fusesUnknown { appendUnknown(&unknown, byteTokens) }
                unknown = (unknown?.lowerBound ?? position)..<position + 1
            }
            appendUnknown(&unknown, byteTokens)
        }

        private mutating func append(_ token: Int32, _ range: Range<Int>) {
            previous.append(tokens.count - 1)
            tokens.append(token)
            ranges.append(range)
            next.append(tokens.count)
            ranks.append(MergeTable.noRank)
        }

        /// Bytes without a token give nothing where there is no token for the unknown.
        private mutating func appendUnknown(_ unknown: inout Range<Int>?, _ byteTokens: ByteTokens) {
            if let range = unknown, let token = byteTokens.unknown { append(token, range) }
            unknown = nil
        }

        private mutating func remove(_ position: Int) {
            let after = next[position]
            let before = previous[position]
            next[before] = after
            ranges[before] = ranges[before].lowerBound..<max(ranges[before].upperBound, ranges[position].upperBound)
            if after < tokens.count { previous[after] = before }
            ranks[position] = MergeTable.noRank
        }

        private mutating func rankPair(at position: Int, _ merges: MergeTable) {
            let right = next[position]
            let rank = right < tokens.count ? merges.rank(tokens[position], tokens[right]) : MergeTable.noRank
            ranks[position] = rank
            if rank != MergeTable.noRank { candidates.insert(rank: rank, position: position) }
        }
    }

    /// A binary heap of (rank, position), lowest rank first, leftmost first among equals.
    private struct CandidateHeap {
        private var keys: [UInt64] = []

        mutating func insert(rank: UInt32, position: Int) {
            keys.append(UInt64(rank) << 32 | UInt64(UInt32(position)))
            var child = keys.count - 1
            while child > 0, keys[child] < keys[(child - 1) / 2] {
                keys.swapAt(child, (child - 1) / 2)
                child = (child - 1) / 2
            }
        }

        mutating func popFirst() -> (rank: UInt32, position: Int)? {
            guard let first = keys.first else { return nil }
            let last = keys.removeLast()
            if !keys.isEmpty {
                keys[0] = last
                sink()
            }
            return (UInt32(first >> 32), Int(first & 0xFFFF_FFFF))
        }

        private mutating func sink() {
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < keys.count && keys[child] < keys[least] {
                    least = child
                }
                if least == parent { return }
                keys.swapAt(parent, least)
                parent = least
            }
        }
    }
}
