import AttentionCore
import SampleAttention
import Testing

/// Which rows certificates are made from.
@Suite struct HeldOutSampleTests {
    static let scored = SamplingPlan.strided(queryCount: 1000, ratio: try! Fraction(0.07)).rows
    static let strata = RowStrata(queryCount: 1000, denseLastRows: 90, scored: scored, sampledMass: 0.9)

    static func sample(draws: Int, seed: UInt64) -> HeldOutSample {
        HeldOutSample(head: 0, strata: strata, draws: draws, generator: SeededGenerator(seed: seed))
    }

    /// No row of a sample was scored by the selection or is dense, and every other row can be drawn, as often as the others.
    @Test func drawsAreUnseenRowsAndAllOfThem() {
        let unseen = (0..<910).filter { !Self.scored.contains($0) }
        #expect(Self.strata.allUnseen == unseen && Self.strata.unseenRows == unseen.count)
        var counts = [Int](repeating: 0, count: 1000)
        for seed in 0..<2000 { for row in Self.sample(draws: 100, seed: UInt64(seed)).rows { counts[row] += 1 } }
        for row in 0..<1000 {
            let isUnseen = unseen.contains(row)
            let expected = isUnseen ? 200_000 / Double(unseen.count) : 0
            #expect(abs(Double(counts[row]) - expected) <= 5 * expected.squareRoot(), "row \(row): \(counts[row])")
        }
    }

    @Test func samplesFollowTheSeed() {
        let sample = Self.sample(draws: 100, seed: 5)
        #expect(sample.rows == sample.rows.sorted() && sample.rows.count == 100 && !sample.isCensus)
        #expect(sample.rows == Self.sample(draws: 100, seed: 5).rows)
        #expect(sample.rows != Self.sample(draws: 100, seed: 6).rows)
        #expect(Self.sample(draws: 1000, seed: 5).isCensus)
    }

    /// Rows are scored in ascending order, but a bet on the next draw is fair only in the order of the draws: here every early row
    /// keeps everything and every late one half, so bets in the order of the rows would look sure to win.
    @Test func boundsReadTheDrawsInTheirOrder() throws {
        let masses = (0..<1000).map { $0 < 455 ? 1.0 : 0.5 }
        let mean = Self.strata.allUnseen.reduce(0) { $0 + masses[$1] } / Double(Self.strata.unseenRows)
        var misses = 0
        for seed in 0..<2000 {
            let sample = Self.sample(draws: 256, seed: UInt64(seed))
            let unseen = try #require(sample.unseen(sample.rows.map { masses[$0] }, alpha: 0.9, failure: 0.05))
            if unseen.meanLowerBound > mean { misses += 1 }
        }
        #expect(misses <= 100 + 5 * 10, "\(misses) of 2000")
    }

    /// What is known of the scored rows never exceeds what they hold: dense ones among them may have held all that others lack.
    @Test func scoredRowsCountWithWhatTheySurelyHold() {
        let strata = RowStrata(queryCount: 10, denseLastRows: 3, scored: [2, 5, 8], sampledMass: 0.8)
        #expect(strata.scored == [2, 5] && strata.denseRows == 3 && strata.unseenRows == 5)
        #expect(abs(strata.scoredMass - 1.4) < 1e-12)
        #expect(strata.allUnseen == [0, 1, 3, 4, 6])
        let nothing = RowStrata(queryCount: 10, denseLastRows: 20, scored: [2, 5, 8], sampledMass: 0.8)
        #expect(nothing.unseenRows == 0 && nothing.denseRows == 10 && nothing.scoredMass == 0)
        #expect(HeldOutSample(head: 0, strata: nothing, draws: 5, generator: SeededGenerator(seed: 1)).rows.isEmpty)
    }
}
