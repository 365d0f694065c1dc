/// Merges the symbols of a piece into tokens, pair by pair in the order the merges were learnt.
///
/// Source: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (arXiv 1508.07909),
/// over bytes as in GPT-2 or over characters as in SentencePiece. A heap of candidate pairs over a linked list makes a piece of n bytes cost O(n log n).
struct BytePairEncoder: Sendable {
    let symbols: SymbolTokens
    let merges: MergeTable
    /// The tokens by their bytes when whole pieces are looked up before merging (`ignore_merges`), else nil.
    let wholePieces: [[UInt8]: Int32]?
    /// Where pieces may be cut before they are merged; nil where they may not.
    let wordCut: WordCut?

    init(symbols: SymbolTokens, merges: MergeTable, wholePieces: [[UInt8]: Int32]? = nil, wordCut: WordCut? = nil) {
        self.symbols = symbols
        self.merges = merges
        self.wholePieces = wholePieces
        self.wordCut = wholePieces == nil ? wordCut : nil
    }

    /// Appends the tokens of `piece`, and of each the bytes it stands for, counted from the beginning of the piece.
    func encode(
        _ piece: UnsafeBufferPointer<UInt8>, with scratch: inout Scratch, into tokens: inout [Int32], _ ranges: inout [Range<Int>]
    ) {
        if let whole = wholePieces?[Array(piece)] {
            tokens.append(whole)
            ranges.append(0..<piece.count)
        } else {
            scratch.merge(piece, symbols: symbols, merges: merges, into: &tokens, &ranges)
        }
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
            _ piece: UnsafeBufferPointer<UInt8>, symbols: SymbolTokens, merges: MergeTable, into output: inout [Int32],
            _ outputRanges: inout [Range<Int>]
        ) {
            start(piece, symbols)
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

        private mutating func start(_ piece: UnsafeBufferPointer<UInt8>, _ symbols: SymbolTokens) {
            tokens.removeAll(keepingCapacity: true)
            ranges.removeAll(keepingCapacity: true)
            next.removeAll(keepingCapacity: true)
            previous.removeAll(keepingCapacity: true)
            ranks.removeAll(keepingCapacity: true)
            var unknown: Range<Int>?
            var position = 0
            while position < piece.count {
                let (token, end) = symbols.token(at: position, piece)
                defer { position = end }
                guard token == SymbolTokens.none else {
                    appendUnknown(&unknown, symbols)
                    append(token, position..<end)
                    continue
                }
                // As the reference does, before unknown symbols that are still waiting.
                if appendFallback(position..<end, of: piece, symbols) { continue }
                if !symbols.fusesUnknown { appendUnknown(&unknown, symbols) }
                unknown = (unknown?.lowerBound ?? position)..<end
            }
            appendUnknown(&unknown, symbols)
        }

        private mutating func appendFallback(
            _ range: Range<Int>, of piece: UnsafeBufferPointer<UInt8>, _ symbols: SymbolTokens
        ) -> Bool {
            switch symbols.kind {
            case .bytes(_, let fallbacks):
                let fallback = fallbacks[Int(piece[range.lowerBound])]
                for token in fallback { append(token, range) }
                return !fallback.isEmpty
            case .scalars(_, let byteCodes):
                guard let byteCodes, range.allSatisfy({ byteCodes[Int(piece[$0])] != SymbolTokens.none }) else { return false }
                for position in range { append(byteCodes[Int(piece[position])], position..<position + 1) }
                return true
            }
        }

        private mutating func append(_ token: Int32, _ range: Range<Int>) {
            previous.append(tokens.count - 1)
            tokens.append(token)
            ranges.append(range)
            next.append(tokens.count)
            ranks.append(MergeTable.noRank)
        }

        /// Symbols without a token give nothing where there is no token for the unknown.
        private mutating func appendUnknown(_ unknown: inout Range<Int>?, _ symbols: SymbolTokens) {
            if let range = unknown, let token = symbols.unknown { append(token, range) }
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
