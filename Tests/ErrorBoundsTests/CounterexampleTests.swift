import AttentionCore
import ErrorBounds
import Testing

/// Readings of the theorems that do not hold, each with numbers.
@Suite struct CounterexampleTests {
    /// Normal Q, K and V with d = 1, 4 and 16, a window of one key in eight, 300 heads of 16 keys each.
    @Test(
        "random heads exceed the factor-one reading, the more the fewer dimensions the values have",
        arguments: [(1, 1.96), (4, 1.58), (16, 1.40)])
    func factorOneOnRandomHeads(dimension: Int, exceeded: Double) throws {
        var verifier = BoundVerifier()
        for seed in 1...300 as ClosedRange<UInt64> {
            let head = AdversarialHeads.random(queryCount: 16, keyCount: 16, dimension: dimension, seed: seed)
            verifier.verify(head, keeping: [SparsePattern.windowColumns(WindowColumns(window: 2, columns: []))], label: "seed \(seed)")
        }
        let check = try #require(verifier.checks.first { !$0.valid })
        #expect(check.maxRatio > exceeded)
        #expect(verifier.holds)
    }

    /// Equal scores of 8 queries, V = 1 for the first key and 0 for the others, the first key dropped by all rows but its own:
    /// the column sum of P − P̃ is 1/2 + … + 1/8 = 481/280, while every row drops at most 1/2.
    @Test("in the matrix 1-norm the bound from the CRA is broken more than threefold")
    func matrixOneNorm() throws {
        let ones = Array(repeating: [1.0], count: 8)
        let head = try AttentionHead(queries: ones, keys: ones, values: [[1]] + Array(repeating: [0], count: 7))
        var columnSum = 0.0
        var largestDropped = 0.0
        ExactAttention(head).forEachRow(keeping: PredicateMask { key, position in key > 0 || position == 0 }) { row in
            columnSum += row.errors.unrenormalisedError
            largestDropped = max(largestDropped, row.errors.droppedMass)
        }
        #expect(abs(columnSum - 481.0 / 280) < 1e-14)
        #expect(abs(largestDropped - 0.5) < 1e-15)
        // The matrix 1-norm of V is 1, so the reading claims an error of at most (1 − CRA) · 1 = 1/2.
        #expect(columnSum / largestDropped > 3.43)
    }
}
