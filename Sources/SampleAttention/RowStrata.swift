import AttentionCore

/// The query rows of one head by what is known of their retained mass before any is drawn.
///
/// D, the dense rows at the end: mass 1. S, the rows that the selection scored, D excepted: their sum is known, at least as a
/// lower bound. U, all others: unseen. |D| + |S| + |U| = queryCount.
package struct RowStrata: Sendable {
    package let queryCount: Int
    /// |D|.
    package let denseRows: Int
    /// S, ascending.
    package let scored: [Int]
    /// At most Σ_{i ∈ S} r_i.
    package let scoredMass: Double

    /// - Parameters:
    ///   - scored: the rows of stage 1, ascending, dense ones among them.
    ///   - sampledMass: their mean retained mass without regard to dense rows, or a lower bound of it.
    package init(queryCount: Int, denseLastRows: Int, scored: [Int], sampledMass: Double) {
        self.queryCount = queryCount
        denseRows = min(denseLastRows, queryCount)
        let firstDense = queryCount - denseRows
        self.scored = Array(scored.prefix { $0 < firstDense })
        // Scored rows that are dense take part of the sum with them, at most 1 each.
        let taken = scored.count - self.scored.count
        scoredMass = (Double(scored.count) * sampledMass - Double(taken)).clamped(to: 0...Double(self.scored.count))
    }

    /// |U|.
    package var unseenRows: Int { queryCount - denseRows - scored.count }

    /// `count` rows of U, each drawn from all of U, in the order of the draws.
    ///
    /// Complexity: O(count · log |S|).
    package func draws(_ count: Int, generator: inout SeededGenerator) -> [Int] {
        (0..<count).map { _ in unseenRow(Int.random(in: 0..<unseenRows, using: &generator)) }
    }

    /// U itself.
    package var allUnseen: [Int] { (0..<unseenRows).map(unseenRow) }

    /// Row number `index` of U: it stands after as many rows of S as have no more than `index` rows of U before them.
    private func unseenRow(_ index: Int) -> Int {
        var (low, high) = (0, scored.count)
        while low < high {
            let middle = (low + high) / 2
            if scored[middle] - middle <= index { low = middle + 1 } else { high = middle }
        }
        return index + low
    }

    /// The mean over all rows, from the mean of U.
    func mean(ofUnseen unseen: Double) -> Double {
        ((Double(denseRows) + scoredMass + Double(unseenRows) * unseen) / Double(queryCount)).clampedShare
    }

    /// A share of all rows with r ≥ α that follows from the share of U: D counts whole, and of S as much as its mass enforces.
    /// If a share s of S has r ≥ α, its mean is at most s + (1 − s) · α.
    func share(ofUnseen unseen: Double, alpha: Double) -> Double {
        let count = Double(scored.count)
        let enforced = alpha < 1 ? ((scoredMass - count * alpha) / (1 - alpha)).clamped(to: 0...count) : 0
        return ((Double(denseRows) + enforced + Double(unseenRows) * unseen) / Double(queryCount)).clampedShare
    }
}
