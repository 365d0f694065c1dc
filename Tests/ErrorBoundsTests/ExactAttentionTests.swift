import AttentionCore
import AttentionTestSupport
import ErrorBounds
import Foundation
import Testing

@Suite struct ExactAttentionTests {
    @Test("every output and mass equals the naive oracle's", arguments: 1...3 as ClosedRange<UInt64>)
    func matchesOracleOnRandomHeads(seed: UInt64) {
        for (name, head) in randomHeads(seeds: seed...seed) {
            for pattern in patterns(keyCount: head.keyCount) { expectOracle(head, pattern, name) }
        }
    }

    @Test("… and on constructed heads", arguments: AdversarialHeads.all.map(\.name))
    func matchesOracleOnAdversarialHeads(name: String) throws {
        let made = try #require(AdversarialHeads.all.first { $0.name == name })
        expectOracle(made.head, made.pattern, name)
    }

    @Test("the block size changes the result by rounding only", arguments: [1, 7, 64, 1000])
    func blockSize(rows: Int) {
        let head = AdversarialHeads.random(queryCount: 50, keyCount: 83, dimension: 6, seed: 5)
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 9, columns: [2, 30]))
        let allowance = RoundingAllowance.l1(keys: 83, dimension: 6, radius: ValueExtent(of: head).radius)
        let whole = ExactAttention(head, blockRows: 50).rowErrors(keeping: pattern)
        let blocked = ExactAttention(head, blockRows: rows).rowErrors(keeping: pattern)
        #expect(blocked.count == 50)
        for (a, b) in zip(whole, blocked) {
            #expect(a.row == b.row && a.keptKeys == b.keptKeys && a.causalKeys == b.causalKeys)
            #expect(abs(a.renormalisedError - b.renormalisedError) <= 2 * allowance)
            #expect(abs(a.unrenormalisedError - b.unrenormalisedError) <= 2 * allowance)
        }
    }

    @Test("a dropped mass of 1e-10 keeps its relative precision")
    func tinyDroppedMass() {
        let made = AdversarialHeads.tinyDroppedMass
        let rows = ExactAttention(made.head).rowErrors(keeping: made.pattern)
        #expect(rows[0].droppedMass == 0)
        for row in [1, 10, 1499] {
            let others = (1...row).map { exp(-23 * Double($0)) }.reduce(0, +)
            let expected = others / (1 + others)
            #expect(abs(rows[row].droppedMass / expected - 1) <= 4 * Double(row + 2) * 0x1p-53)
        }
    }

    @Test("where the kept mass underflows, the softmax over the kept keys is still a softmax")
    func keptMassUnderflows() {
        let made = AdversarialHeads.hugeLogitsDropped
        let rows = ExactAttention(made.head).rowErrors(keeping: made.pattern)
        #expect(rows[40].retainedMass == 0)
        #expect(rows[40].droppedMass == 1)
        #expect(rows.allSatisfy { $0.renormalisedError.isFinite && $0.unrenormalisedError.isFinite })
    }

    @Test("a row that keeps nothing keeps its own position")
    func emptyRows() {
        let head = AdversarialHeads.random(queryCount: 12, keyCount: 20, dimension: 3, seed: 6)
        let nothing = ExactAttention(head).rowErrors(keeping: PredicateMask { _, _ in false })
        let itself = ExactAttention(head).rowErrors(
            keeping: SparsePattern.windowColumns(WindowColumns(window: 1, columns: [])))
        #expect(nothing == itself)
        #expect(nothing.allSatisfy { $0.keptKeys == 1 && $0.retainedMass > 0 && $0.retainedMass < 1 })
    }

    @Test("runs are clipped to the causal triangle and overlaps count once")
    func overlappingRuns() {
        struct Untidy: AttentionMask {
            func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
                body(position - 1..<position + 50)
                body(-5..<2)
                body(position..<position + 1)
                body(3..<3)
            }
        }
        let head = AdversarialHeads.random(queryCount: 15, keyCount: 15, dimension: 3, seed: 7)
        let untidy = ExactAttention(head).rowErrors(keeping: Untidy())
        let tidy = ExactAttention(head).rowErrors(
            keeping: SparsePattern.windowColumns(WindowColumns(window: 2, columns: [0, 1])))
        #expect(untidy == tidy)
        #expect(untidy.map(\.keptKeys) == [1, 2, 3] + Array(repeating: 4, count: 12))
    }

    @Test("kept keys agree with the pattern's own count")
    func keptPairs() {
        let head = AdversarialHeads.random(queryCount: 31, keyCount: 45, dimension: 2, seed: 8)
        for pattern in patterns(keyCount: 45) {
            let rows = ExactAttention(head).rowErrors(keeping: pattern)
            #expect(rows.reduce(0) { $0 + $1.keptKeys } == pattern.keptPairs(head.shape))
        }
    }

    @Test("a pattern's runs are the keys it keeps, whatever its kind", arguments: PatternCase.all)
    func runsOfPatterns(test: PatternCase) {
        for position in test.shape.firstPosition..<test.shape.keyCount {
            var kept = Set<Int>()
            test.pattern.forEachKeptRun(position: position, shape: test.shape) { kept.formUnion($0.clamped(to: 0..<position + 1)) }
            #expect(kept == Set((0...position).filter { test.keeps($0, position) }), "position \(position)")
        }
    }

    @Test("kept keys of blocks and unions agree with the pattern's own count")
    func keptPairsOfBlocks() {
        let head = AdversarialHeads.random(queryCount: 290, keyCount: 310, dimension: 2, seed: 8)
        let lines = SparsePattern.columnsSlashes(ColumnsSlashes(columns: [1], slashes: [2], denseLastRows: 9))
        let mask = SparsePattern.blocks(BlockMask(blocks: 3) { $0 == 2 && $1 == 0 })
        let stripes = SparsePattern.windowColumns(WindowColumns(window: 20, columns: [5, 200]))
        for pattern in [lines, mask, .union([mask, stripes]), .union([lines, .union([stripes, mask])])] {
            let rows = ExactAttention(head).rowErrors(keeping: pattern)
            #expect(rows.reduce(0) { $0 + $1.keptKeys } == pattern.keptPairs(head.shape))
        }
    }

    @Test("an error thrown by the visitor reaches the caller")
    func visitorThrows() {
        struct Stop: Error {}
        let head = AdversarialHeads.random(queryCount: 5, keyCount: 5, dimension: 2, seed: 9)
        var seen = 0
        #expect(throws: Stop.self) {
            try ExactAttention(head).forEachRow(keeping: SparsePattern.dense) { (_) throws(Stop) in
                seen += 1
                if seen == 3 { throw Stop() }
            }
        }
        #expect(seen == 3)
    }

    @Test("a block without rows is a programmer's mistake")
    func emptyBlockTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = ExactAttention(AdversarialHeads.singleToken.head, blockRows: 0)
        }
    }

    private func expectOracle(_ head: AttentionHead, _ pattern: SparsePattern, _ name: String) {
        let oracle = NaiveOracle(head: head, pattern: pattern)
        let radius = ValueExtent(of: head).radius
        ExactAttention(head).forEachRow(keeping: pattern) { row in
            let errors = row.errors
            // The oracle is slow: of a long head every 97th row.
            guard head.queryCount < 200 || errors.row % 97 == 0 || errors.row == head.queryCount - 1 else { return }
            let expected = oracle.row(errors.row)
            let tolerance = oracle.tolerance(errors.row, radius: radius)
            let massTolerance = oracle.tolerance(errors.row, radius: 1)
            let place = "\(name), \(pattern), row \(errors.row)"
            #expect(l1(row.dense, expected.dense) <= tolerance, "dense, \(place)")
            #expect(l1(row.unrenormalised, expected.unrenormalised) <= tolerance, "un-renormalised, \(place)")
            #expect(l1(row.renormalised, expected.renormalised) <= tolerance, "renormalised, \(place)")
            #expect(abs(errors.retainedMass - expected.retained) <= massTolerance, "retained, \(place)")
            #expect(abs(errors.droppedMass - expected.dropped) <= massTolerance, "dropped, \(place)")
            let unrenormalised = l1(expected.dense, expected.unrenormalised)
            let renormalised = l1(expected.dense, expected.renormalised)
            #expect(abs(errors.unrenormalisedError - unrenormalised) <= 2 * tolerance, "error, \(place)")
            #expect(abs(errors.renormalisedError - renormalised) <= 2 * tolerance, "error, \(place)")
        }
    }
}
