import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import SampleAttention
import Testing

/// The same counts from the definition: every pair is looked at, tile by tile, lane block by lane block.
private struct BruteForce {
    let shape: AttentionShape
    let parts: PatternParts
    let denseRows: Int

    init(_ pattern: SparsePattern, shape: AttentionShape) {
        self.shape = shape
        parts = pattern.parts
        denseRows = parts.isDense ? shape.queryCount : min(shape.queryCount, parts.denseLastRows)
    }

    /// Rows that share their tiles: 64, or 256 of long prompts; dense ones apart, and with key blocks within one query block.
    var rowBlocks: [(positions: Range<Int>, isDense: Bool)] {
        let size = shape.queryCount >= 2048 ? 256 : 64
        let firstDense = shape.keyCount - denseRows
        var blocks: [(positions: Range<Int>, isDense: Bool)] = []
        var position = shape.firstPosition
        while position < shape.keyCount {
            let isDense = position >= firstDense
            var end = min(position + size, isDense ? shape.keyCount : firstDense)
            if parts.hasBlocks && !isDense { end = min(end, (position / min(size, 128) + 1) * min(size, 128)) }
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

    func count() -> [HeadWork.Term: Int] {
        var counts: [HeadWork.Term: Int] = [:]
        for (rows, isDense) in rowBlocks {
            let window = window(isDense)
            let lanes = laneBlocks(rows)
            counts[.laneBlocks, default: 0] += lanes.count
            for lane in lanes {
                let own = Strip(keys: Array(lane)) { key, row in
                    key <= row && (key > row - window || parts.hasBlocks && !isDense)
                }
                add(own, [lane], isDense ? .densePairs : .windowPairs, loads: true, isAlwaysMasked: true, to: &counts)
            }
            let before = Strip(keys: Array(max(0, rows.lowerBound - window + 1)..<lanes.last!.lowerBound)) { key, row in
                key > row - window && key < lanes.first { $0.contains(row) }!.lowerBound
            }
            add(before, lanes, isDense ? .densePairs : .windowPairs, loads: true, to: &counts)
            if isDense { continue }
            addColumns(lanes, to: &counts)
            addBlocks(lanes, to: &counts)
        }
        if denseRows < shape.queryCount { counts[.gatheredColumns] = parts.columns.count }
        return counts
    }

    private func addColumns(_ lanes: [Range<Int>], to counts: inout [HeadWork.Term: Int]) {
        let last = lanes.last!.upperBound - 1
        let columns = parts.columns.map(Int.init).filter { $0 <= last - parts.window }
        let hasBlocks = parts.hasBlocks
        // Beside key blocks every tile of columns is masked, so none counts as whole.
        let strip = Strip(keys: columns) { key, row in key <= row - parts.window }
        add(strip, lanes, .columnPairs, loads: false, isAlwaysMasked: hasBlocks, to: &counts)
    }

    private func addBlocks(_ lanes: [Range<Int>], to counts: inout [HeadWork.Term: Int]) {
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
            add(Strip(keys: seen, keeps: keeps), lanes, .blockPairs, loads: true, to: &counts)
        }
    }

    private func add(
        _ strip: Strip, _ lanes: [Range<Int>], _ pairs: HeadWork.Term, loads: Bool, isAlwaysMasked: Bool = false,
        to counts: inout [HeadWork.Term: Int]
    ) {
        if loads { counts[.loadedKeys, default: 0] += strip.keys.count }
        for lane in lanes {
            for start in stride(from: 0, to: strip.keys.count, by: 128) {
                let tile = strip.keys[start..<min(start + 128, strip.keys.count)]
                guard tile.contains(where: { key in lane.contains { strip.keeps(key, $0) } }) else { continue }
                counts[.tiles, default: 0] += 1
                let isWhole = tile.allSatisfy { key in lane.allSatisfy { strip.keeps(key, $0) } }
                if !isWhole || isAlwaysMasked { counts[.maskedTiles, default: 0] += 1 }
                // Sixteen rows at a time do a key that any of them keeps.
                for first in stride(from: lane.lowerBound, to: lane.upperBound, by: 16) {
                    let rows = first..<min(first + 16, lane.upperBound)
                    counts[pairs, default: 0] += 16 * tile.count { key in rows.contains { strip.keeps(key, $0) } }
                }
            }
        }
    }
}

@Suite struct HeadWorkTests {
    private static let kernelTerms: [HeadWork.Term] = [
        .laneBlocks, .loadedKeys, .tiles, .maskedTiles, .densePairs, .windowPairs, .columnPairs, .blockPairs, .gatheredColumns,
    ]

    private func expectBruteForce(_ pattern: SparsePattern, _ shape: AttentionShape, _ label: String) {
        let work = HeadWork(nil, pattern: pattern, shape: shape)
        let counts = BruteForce(pattern, shape: shape).count()
        for term in Self.kernelTerms { #expect(work[term] == Double(counts[term] ?? 0), "\(label): \(term)") }
        #expect(work[.heads] == 1 && work[.sampledPairs] == 0 && work[.certificates] == 0)
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
    }

    /// All pairs that are kept are done, and the rounding stays below one vector of lanes at either edge.
    @Test func pairsCoverWhatIsKept() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 4096, keyCount: 4096, headDimension: 64)
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 200, columns: [0, 1, 2, 3, 1000], denseLastRows: 64))
        let work = HeadWork(nil, pattern: pattern, shape: shape)
        let done = work[.densePairs] + work[.windowPairs] + work[.columnPairs]
        let kept = Double(pattern.keptPairs(shape))
        #expect(kept < done && done < kept * (1 + 2 * 16 / 200.0))
        #expect(HeadWork(nil, pattern: .dense, shape: shape)[.densePairs] == 16 * 256 * (16 + 4096) / 2)
    }

    @Test func countsTheRowsOfStage1() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 1000, keyCount: 1500, headDimension: 8)
        var parameters = SampleAttentionParameters(alpha: .one, window: .tokens(100), sampleRatio: try Fraction(0.1))
        let positions = parameters.samplingPlan(queryCount: 1000).rows.map { $0 + 500 }
        // 100 rows are lane blocks of 64 and 36: of vectors of 16, and the last of each by its last row.
        var scored = 0
        for block in [Array(positions[..<64]), Array(positions[64...])] {
            for start in stride(from: 0, to: block.count, by: 16) { scored += 16 * (block[min(start + 15, block.count - 1)] + 1) }
        }
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 100, columns: []))
        func work() -> HeadWork { HeadWork(parameters, pattern: pattern, shape: shape) }
        #expect(work()[.sampledPairs] == Double(scored))
        #expect(work()[.summedPairs] == Double(64 * (positions[63] + 1 - 100 + positions[99] + 1 - 100)))
        #expect(work()[.candidates] == 1500)
        parameters.columnScoring = .allMass
        #expect(work()[.summedPairs] == Double(64 * (positions[63] + 1 + positions[99] + 1)))
        parameters.pattern = .columnSlash
        #expect(work()[.sampledPairs] == Double(scored) && work()[.summedPairs] == 0 && work()[.candidates] == 24)
        parameters.pattern = .dense
        #expect(work()[.sampledPairs] == 0 && work()[.candidates] == 0)
    }

    @Test func countsCertificates() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 6400, keyCount: 6400, headDimension: 8)
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 100, columns: []))
        let work = HeadWork(nil, pattern: pattern, shape: shape, certifiedRows: 256)
        #expect(work[.certificates] == 1)
        // 256 rows see half of the keys each, give or take what vectors of 16 add.
        #expect(abs(work[.certifiedPairs] / (256 * 3200) - 1) < 0.08)
        let dense = HeadWork(.dense, pattern: .dense, shape: shape, certifiedRows: 256)
        #expect(dense[.certificates] == 0 && dense[.certifiedPairs] == 0)
    }

    @Test func worksAddUp() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 300, keyCount: 300, headDimension: 8)
        let dense = HeadWork(.dense, pattern: .dense, shape: shape)
        let window = HeadWork(
            .standard, pattern: .windowColumns(WindowColumns(window: 24, columns: [0])), shape: shape, certifiedRows: 10)
        for term in HeadWork.Term.allCases { #expect((dense + window)[term] == dense[term] + window[term]) }
    }
}
