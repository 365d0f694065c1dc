import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Testing

/// The same counts from the definition: every pair is looked at, tile by tile, lane block by lane block.
private struct BruteForce {
    typealias Counts = [KeyPath<KernelWork, Int>: Int]

    let shape: AttentionShape
    let parts: PatternParts
    let denseRows: Int

    init(_ pattern: SparsePattern, shape: AttentionShape) {
        self.shape = shape
        parts = pattern.parts
        denseRows = parts.isDense ? shape.queryCount : min(shape.queryCount, parts.denseLastRows)
    }

    /// Rows that share their tiles: 64, or 256 of long prompts; dense ones apart, and with key blocks within one query block. Beside chosen
    /// blocks row blocks end where four query blocks of 64 rows do, and rows before the first whole one are a block of their own.
    var rowBlocks: [(positions: Range<Int>, isDense: Bool)] {
        let size = shape.queryCount >= 2048 ? 256 : 64
        let firstDense = shape.keyCount - denseRows
        var blocks: [(positions: Range<Int>, isDense: Bool)] = []
        var position = shape.firstPosition
        while position < shape.keyCount {
            let isDense = position >= firstDense
            var end = min(position + size, isDense ? shape.keyCount : firstDense)
            if parts.hasBlocks && !isDense { end = min(end, (position / min(size, 128) + 1) * min(size, 128)) }
            if parts.hasChosenBlocks && !isDense {
                end = min(end, (position / (position % 64 == 0 ? size : 64) + 1) * (position % 64 == 0 ? size : 64))
            }
            blocks.append((position..<end, isDense))
            position = end
        }
        return blocks
    }

    private func laneBlocks(_ rows: Range<Int>) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: 64).map { $0..<min($0 + 64, rows.upperBound) }
    }

    /// A list of keys that lane blocks go over in tiles of 128, and which of them a row keeps.
    private struct Strip {
        let keys: [Int]
        let keeps: (_ key: Int, _ position: Int) -> Bool
    }

    private func window(_ isDense: Bool) -> Int { isDense ? shape.keyCount : parts.window }

    func count() -> Counts {
        var counts: Counts = [:]
        for (rows, isDense) in rowBlocks {
            let window = window(isDense)
            let lanes = laneBlocks(rows)
            counts[\.laneBlocks, default: 0] += lanes.count
            for lane in lanes {
                let own = Strip(keys: Array(lane)) { key, row in
                    key <= row && (key > row - window || parts.hasBlocks && !isDense)
                }
                add(own, [lane], isDense ? \.densePairs : \.windowPairs, loads: true, isAlwaysMasked: { _ in true }, to: &counts)
            }
            let before = Strip(keys: Array(max(0, rows.lowerBound - window + 1)..<lanes.last!.lowerBound)) { key, row in
                key > row - window && key < lanes.first { $0.contains(row) }!.lowerBound
            }
            add(before, lanes, isDense ? \.densePairs : \.windowPairs, loads: true, to: &counts)
            if isDense { continue }
            addColumns(lanes, to: &counts)
            addBlocks(lanes, to: &counts)
            addChosen(lanes, to: &counts)
        }
        if denseRows < shape.queryCount { counts[\.gatheredColumns] = parts.columns.count { $0 < shape.keyCount } }
        return counts
    }

    private func addColumns(_ lanes: [Range<Int>], to counts: inout Counts) {
        let last = lanes.last!.upperBound - 1
        let columns = parts.columns.map(Int.init).filter { $0 <= last - parts.window }
        // Beside key blocks every tile of columns is masked, so none counts as whole.
        let strip = Strip(keys: columns) { key, row in key <= row - parts.window }
        add(
            strip, lanes, \.columnPairs, loads: false,
            isAlwaysMasked: { lane in
                let chosen = parts.chosenKeys(queryBlock: lane.lowerBound / 64)
                return parts.hasBlocks || lane.contains { row in (0...row).contains { chosen.contains($0) } }
            }, to: &counts)
    }

    private func addChosen(_ lanes: [Range<Int>], to counts: inout Counts) {
        for lane in lanes {
            let chosen = parts.chosenKeys(queryBlock: lane.lowerBound / 64)
            let keeps = { (key: Int, row: Int) in chosen.contains(key) && key <= row - parts.window }
            let seen = (0..<lane.upperBound).filter { keeps($0, lane.upperBound - 1) }
            counts[\.gatheredKeys, default: 0] += seen.count
            add(Strip(keys: seen, keeps: keeps), [lane], \.chosenPairs, loads: false, to: &counts)
        }
    }

    private func addBlocks(_ lanes: [Range<Int>], to counts: inout Counts) {
        guard parts.hasBlocks else { return }
        let queryBlock = lanes[0].lowerBound / 128
        var runs: [[Int]] = []
        for block in 0...queryBlock where parts.keepsBlock(query: queryBlock, key: block) {
            let keys = Array(block * 128..<(block + 1) * 128)
            if let last = runs.last?.last, last == keys[0] - 1 { runs[runs.count - 1] += keys } else { runs.append(keys) }
        }
        for run in runs {
            let keeps = { (key: Int, row: Int) in key <= row - parts.window && key < lanes.first { $0.contains(row) }!.lowerBound }
            let seen = run.filter { key in lanes.contains { lane in keeps(key, lane.upperBound - 1) } }
            add(Strip(keys: seen, keeps: keeps), lanes, \.keyBlockPairs, loads: true, to: &counts)
        }
    }

    private func add(
        _ strip: Strip, _ lanes: [Range<Int>], _ pairs: KeyPath<KernelWork, Int>, loads: Bool,
        isAlwaysMasked: (Range<Int>) -> Bool = { _ in false }, to counts: inout Counts
    ) {
        if loads { counts[\.loadedKeys, default: 0] += strip.keys.count }
        for lane in lanes {
            for start in stride(from: 0, to: strip.keys.count, by: 128) {
                let tile = strip.keys[start..<min(start + 128, strip.keys.count)]
                guard tile.contains(where: { key in lane.contains { strip.keeps(key, $0) } }) else { continue }
                counts[\.tiles, default: 0] += 1
                let isWhole = tile.allSatisfy { key in lane.allSatisfy { strip.keeps(key, $0) } }
                if !isWhole || isAlwaysMasked(lane) { counts[\.maskedTiles, default: 0] += 1 }
                // Sixteen rows at a time do a key that any of them keeps.
                for first in stride(from: lane.lowerBound, to: lane.upperBound, by: 16) {
                    let rows = first..<min(first + 16, lane.upperBound)
                    counts[pairs, default: 0] += 16 * tile.count { key in rows.contains { strip.keeps(key, $0) } }
                }
            }
        }
    }
}

@Suite struct KernelWorkTests {
    private func expectBruteForce(_ pattern: SparsePattern, _ shape: AttentionShape, _ label: String) {
        let work = KernelWork(pattern.parts, shape: shape)
        let counts = BruteForce(pattern, shape: shape).count()
        let all: [KeyPath<KernelWork, Int>] = [
            \.laneBlocks, \.loadedKeys, \.tiles, \.maskedTiles, \.densePairs, \.windowPairs, \.columnPairs, \.keyBlockPairs,
            \.gatheredColumns, \.chosenPairs, \.gatheredKeys,
        ]
        for count in all { #expect(work[keyPath: count] == counts[count] ?? 0, "\(label): \(count)") }
    }

    @Test(arguments: PatternCase.all) func countsTheTilesOfEveryPattern(_ example: PatternCase) {
        expectBruteForce(example.pattern, example.shape, example.description)
    }

    /// From 2,048 queries on, four lane blocks share their keys.
    @Test func countsSharedTiles() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 2050, keyCount: 2200, headDimension: 8)
        let columns = stride(from: Int32(1), to: 2200, by: 17).map(\.self)
        for window in [1, 60, 500] {
            let pattern = SparsePattern.windowColumns(WindowColumns(window: window, columns: columns, denseLastRows: 70))
            expectBruteForce(pattern, shape, "window \(window)")
        }
        let lines = ColumnsSlashes(columns: [0, 3, 4, 9], slashes: [0, 2, 5, 6], denseLastRows: 64)
        expectBruteForce(.columnsSlashes(lines), shape, "columns and slashes")
        expectBruteForce(.union([.columnsSlashes(lines), .windowColumns(WindowColumns(window: 300, columns: columns))]), shape, "union")
        expectBruteForce(.dense, shape, "dense")
        let lists = (0..<35).map { queryBlock in
            stride(from: Int32(queryBlock % 7), to: min(68, 2 * Int32(queryBlock) + 3), by: 5).map(\.self)
        }
        for window in [1, 90, 700] {
            let chosen = WindowKeyBlocks(window: window, sinks: 5, blockTokens: 32, lists: lists, denseLastRows: 70)
            expectBruteForce(.windowKeyBlocks(chosen), shape, "key blocks, window \(window)")
        }
    }

    /// What the bound on the kernel's rounding takes for granted: how often a row's softmax is rescaled at most.
    @Test(arguments: PatternCase.all) func rowsMeetFewPartialTiles(_ example: PatternCase) {
        let (shape, parts) = (example.shape, example.pattern.parts)
        for block in AttentionPlan.rowBlocks(head: 0, parts: parts, shape: shape, laneBlocks: AttentionPlan.mostLaneBlocks) {
            let rows = RowBlockTiles(block, parts: parts, shape: shape)
            for lane in rows.lanes {
                for position in lane {
                    let kept = (0...position).count { example.keeps($0, position) }
                    let met = Self.tilesMet(by: position, in: lane, rows)
                    #expect(met <= kept / KernelTable.tileKeys + RowBlockTiles.mostPartialTiles, "\(example), position \(position)")
                }
            }
        }
    }

    private static func tilesMet(by position: Int, in lane: Range<Int>, _ rows: RowBlockTiles) -> Int {
        var met = 0
        rows.forEachStrip { strip in
            guard rows.lanes[strip.lanes].contains(lane) else { return }
            let view = rows.view(of: position..<position + 1, in: lane, strip)
            strip.forEachTile { if view.coverage(of: $0) != .none { met += 1 } }
        }
        return met
    }
}
