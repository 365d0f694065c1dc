import AttentionCore

/// The rows of one head that a certificate is made from: drawn after the selection, from rows it has not seen.
package struct HeldOutSample {
    package let head: Int
    package let strata: RowStrata
    /// Ascending, as they are scored; a row drawn twice stands twice.
    package let rows: [Int]
    /// All unseen rows are in it, because they are no more than there were draws.
    package let isCensus: Bool
    /// The draw that each of `rows` was.
    private let drawOfRow: [Int]

    /// - Parameter generator: is asked for the draws, once each.
    package init(head: Int, strata: RowStrata, draws count: Int, generator: consuming SeededGenerator) {
        self.head = head
        self.strata = strata
        isCensus = strata.unseenRows <= count
        let draws = isCensus ? strata.allUnseen : strata.draws(count, generator: &generator)
        drawOfRow = draws.indices.sorted { draws[$0] < draws[$1] }
        rows = drawOfRow.map { draws[$0] }
    }

    /// What the rows' masses say about the unseen rows; nil when there are none.
    ///
    /// - Parameters:
    ///   - masses: one a row, in the order of `rows`.
    ///   - failure: δ of each statement.
    package func unseen(_ masses: [Double], alpha: Double, failure: Double) -> Certificate.UnseenRows? {
        if rows.isEmpty { return nil }
        var draws = masses
        for (draw, mass) in zip(drawOfRow, masses) { draws[draw] = mass }
        return Certificate.UnseenRows(count: strata.unseenRows, draws: draws, isCensus: isCensus, alpha: alpha, failure: failure)
    }
}
