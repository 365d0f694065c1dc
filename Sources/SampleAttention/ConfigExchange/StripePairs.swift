/// How many pairs a window and columns keep, in closed form.
///
/// Of `rows` queries, each sees its last `window` keys; a column at key c adds a pair for every query whose window has left it
/// behind, `reach − c` of them, where reach = max(0, rows − window).
package struct StripePairs {
    /// Queries that are not computed densely.
    package let rows: Int
    /// Positions a query sees back, itself included.
    package let window: Int

    /// - Parameter rows: fewer than none count as none.
    package init(rows: Int, window: Int) {
        self.rows = max(0, rows)
        self.window = window
    }

    /// Queries that the column at key 0 adds a pair to.
    package var reach: Int { max(0, rows - window) }

    /// Pairs of the window alone: Σ min(window, p + 1).
    package var windowPairs: Int {
        let full = min(window, rows)
        return rows * full - full * (full - 1) / 2
    }

    /// What columns at the first `count` keys add: as much as any `count` columns can.
    package func columnPairs(first count: Int) -> Int {
        let columns = min(count, reach)
        return columns * reach - columns * (columns - 1) / 2
    }

    /// The number of columns that keep so many pairs beside the window, the first `sinks` keys among them.
    ///
    /// Where the others lie is not known. They are taken as evenly spread over the keys that windows leave behind, so that one
    /// adds (reach + 1) / 2 pairs: not too few where they lie on average no farther from the start than that, as columns that
    /// many rows look at do, and at most twice the least count that could keep so many.
    ///
    /// - Returns: nil when window and sinks alone keep more.
    package func columnCount(keeping pairs: Double, sinks: Int) -> Int? {
        let rest = pairs - Double(windowPairs + columnPairs(first: sinks))
        // Pairs come from a density and may be off by its rounding.
        guard rest > -0.5 - 1e-9 * pairs else { return nil }
        guard rest >= 0.5, reach > sinks else { return sinks }
        return min(reach, sinks + Int((2 * rest / Double(reach + 1)).rounded(.up)))
    }
}
