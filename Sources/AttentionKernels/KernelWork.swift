import AttentionCore

/// What the kernel does for one head of a plan, counted over strips and tiles cut as it cuts them where keys are not packed in groups: in
/// tile registers a window's strip begins up to 31 keys earlier.
///
/// A pair is one of a query row and a key; rows count in vectors of `KernelTable.vectorLanes`, because a masked tile does a key for a
/// whole vector of lanes when any of them keeps it. Counts depend on pattern and shape, never on data.
package struct KernelWork: Hashable, Sendable {
    /// Blocks of up to `KernelTable.lanes` query rows.
    package private(set) var laneBlocks = 0
    /// Keys brought in from K and V, once for the lane blocks that go over them together.
    package private(set) var loadedKeys = 0
    /// Tiles that lane blocks add, and those of them that are masked.
    package private(set) var tiles = 0, maskedTiles = 0
    /// Pairs of dense rows; and of the others, by the kind of key. The rows' own keys count to the window.
    package private(set) var densePairs = 0, windowPairs = 0, columnPairs = 0, keyBlockPairs = 0, chosenPairs = 0
    /// Columns copied next to each other.
    package private(set) var gatheredColumns = 0
    /// Keys of chosen blocks brought together in tiles, once for each lane block.
    package private(set) var gatheredKeys = 0

    /// Complexity: O(queries / 16 · log columns + tiles), and as `PatternParts.keyBlocks` and `chosenKeys` for each row
    /// block where there are any.
    package init(_ parts: PatternParts, shape: AttentionShape) {
        let blocks = AttentionPlan.rowBlocks(
            head: 0, parts: parts, shape: shape, laneBlocks: AttentionPlan.laneBlocks(queryCount: shape.queryCount))
        for block in blocks {
            let rows = RowBlockTiles(block, parts: parts, shape: shape)
            laneBlocks += rows.lanes.count
            rows.forEachStrip { add($0, of: rows) }
        }
        if blocks.contains(where: { !$0.isDense }) { gatheredColumns = parts.columns.count(below: shape.keyCount) }
    }

    private mutating func add(_ strip: RowBlockTiles.Strip, of rows: RowBlockTiles) {
        addTiles(strip)
        let pairs = rows.lanes[strip.lanes].reduce(0) { $0 + Self.pairs(strip, $1, of: rows) }
        switch strip.kind {
        case .own, .window: if rows.isDense { densePairs += pairs } else { windowPairs += pairs }
        case .columns: columnPairs += pairs
        case .keyBlocks: keyBlockPairs += pairs
        case .chosenBlocks: chosenPairs += pairs
        }
        switch strip.kind {
        case .own, .window, .keyBlocks: loadedKeys += strip.keys.count
        // Loaded as they were gathered.
        case .columns: break
        case .chosenBlocks: gatheredKeys += strip.keys.count
        }
    }

    private mutating func addTiles(_ strip: RowBlockTiles.Strip) {
        strip.forEachTile { tile in
            for view in strip.views {
                let coverage = view.coverage(of: tile)
                if coverage != .none { tiles += 1 }
                if coverage == .some { maskedTiles += 1 }
            }
        }
    }

    /// Each vector of lanes with as many keys as any of its rows sees.
    private static func pairs(_ strip: RowBlockTiles.Strip, _ lane: Range<Int>, of rows: RowBlockTiles) -> Int {
        let size = KernelTable.vectorLanes
        return stride(from: lane.lowerBound, to: lane.upperBound, by: size).reduce(0) { pairs, first in
            pairs + size * rows.view(of: first..<min(first + size, lane.upperBound), in: lane, strip).seen.count
        }
    }
}

extension SampledScores {
    /// Pairs that the scores of some rows of one head take: a vector of lanes scores all keys up to its last row.
    ///
    /// - Parameter positions: of the rows, ascending.
    package static func scoredPairs(positions: [Int]) -> Int {
        blocks(positions).reduce(0) { pairs, block in
            stride(from: block.startIndex, to: block.endIndex, by: KernelTable.vectorLanes).reduce(pairs) {
                $0 + KernelTable.vectorLanes * (block[min($1 + KernelTable.vectorLanes, block.endIndex) - 1] + 1)
            }
        }
    }

    /// Pairs whose probabilities are added down the columns: a lane block, however many rows it holds, adds up the keys that count in
    /// its last row.
    package static func summedPairs(positions: [Int], rule: MassRule) -> Int {
        blocks(positions).reduce(0) { $0 + lanesPerBlock * max(0, $1.last! + 1 - rule.lag) }
    }

    private static func blocks(_ positions: [Int]) -> [ArraySlice<Int>] {
        stride(from: 0, to: positions.count, by: lanesPerBlock).map { positions[$0..<min($0 + lanesPerBlock, positions.count)] }
    }
}
