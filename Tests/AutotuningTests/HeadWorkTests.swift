import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import SampleAttention
import Testing

@Suite struct HeadWorkTests {
    /// The kernel's counts under the names of the latency model's terms.
    @Test(arguments: PatternCase.all) func namesWhatTheKernelCounts(_ example: PatternCase) {
        let work = HeadWork(nil, pattern: example.pattern, shape: example.shape)
        let counts = KernelWork(example.pattern.parts, shape: example.shape)
        #expect(work[.laneBlocks] == Double(counts.laneBlocks) && work[.loadedKeys] == Double(counts.loadedKeys))
        #expect(work[.tiles] == Double(counts.tiles) && work[.maskedTiles] == Double(counts.maskedTiles))
        #expect(work[.densePairs] == Double(counts.densePairs) && work[.windowPairs] == Double(counts.windowPairs))
        #expect(work[.columnPairs] == Double(counts.columnPairs + counts.chosenPairs) && work[.blockPairs] == Double(counts.keyBlockPairs))
        #expect(work[.gatheredColumns] == Double(counts.gatheredColumns + counts.gatheredKeys))
        #expect(work[.heads] == 1 && work[.sampledPairs] == 0 && work[.certificates] == 0)
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

    @Test func countsTheScoresOfKeyBlocks() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 1000, keyCount: 1500, headDimension: 8)
        var parameters = SampleAttentionParameters.keyBlocks(count: 4, window: 100, sinks: 64)
        func ofParameters() -> HeadWork {
            HeadWork(parameters, pattern: .windowColumns(WindowColumns(window: 100, columns: [])), shape: shape)
        }
        let work = ofParameters()
        // Rows 500 … 1435 are not dense; the first two blocks of 32 are sinks.
        var (keys, blocks) = (0, 0)
        for lastRow in (500..<1436).filter({ $0 % 64 == 63 || $0 == 1435 }) {
            keys += lastRow + 1 - 100
            blocks += (lastRow + 1 - 100 + 31) / 32 - 2
        }
        #expect(work[.quantizedPairs] == Double(64 * keys) && work[.candidates] == Double(blocks))
        #expect(work[.quantizedKeys] == 750 && work[.sampledPairs] == 0 && work[.summedPairs] == 0)
        #expect(work[.quantizedProducts] == 8 * work[.quantizedPairs])
        parameters.scoredDimensions = try Fraction(0.5)
        let half = ofParameters()
        #expect(half[.quantizedPairs] == work[.quantizedPairs] && half[.quantizedProducts] == 4 * work[.quantizedPairs])
        // In coordinates of its own.
        #expect(half[.quantizedKeys] == 1500 && half[.candidates] == work[.candidates])
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
