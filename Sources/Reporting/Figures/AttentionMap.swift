/// One head's attention on one prompt, and what a pattern keeps of it: queries down, keys across.
///
/// Three drawings beside one another: the importance of the key columns with the cut-off α, the attention with the window's
/// boundary, and the attention under the final mask. Where single columns are not what is selected, the first is left out.
///
///     var map = AttentionMap(
///         title: "Layer 3, head 5", length: 4096, mass: cells,
///         importance: .init(byKey: bins, selected: shares, cumulative: curve, alpha: 0.95, selectedCount: 214),
///         pattern: .init(window: 327, kept: keptCells, density: 0.123, retainedMass: 0.981))
///     report.append(.attentionMap(map))
package struct AttentionMap: Hashable, Sendable {
    /// More cells a side make a file heavy and, on a phone, less than a screen's pixels wide.
    package static let mostCells = 96

    /// How the attention spreads over key columns, and which of them are selected.
    package struct ColumnImportance: Hashable, Sendable {
        /// The importance of the key columns in equal stretches of the prompt, first to last: a sum or a mean over each stretch.
        package let byKey: [Double]
        /// The share of each stretch's columns that are selected, 0…1.
        package let selected: [Double]
        /// x: a number of columns, the most important first; y: the share of the mass they hold.
        package let cumulative: [LineChart.Point]
        /// The share of the sampled rows' mass that the columns were selected for, 0…1; nil when something else decided.
        package let alpha: Double?
        /// How many columns are selected; nil when everything is kept.
        package let selectedCount: Int?

        /// Importances and the share selected of the same stretches.
        package init(byKey: [Double], selected: [Double], cumulative: [LineChart.Point], alpha: Double?, selectedCount: Int?) {
            precondition(byKey.count == selected.count, "one share for each importance")
            self.byKey = byKey
            self.selected = selected
            self.cumulative = cumulative
            self.alpha = alpha
            self.selectedCount = selectedCount
        }
    }

    /// What a pattern keeps of the causal pairs of queries and keys.
    package struct Pattern: Hashable, Sendable {
        /// The number of keys up to its own that every query keeps; nil when there is no window.
        package let window: Int?
        /// Kept lines of blocks, which then stand in place of a window.
        package var blockLines: BlockLines?
        /// `[query][key]`: the share of each cell's causal pairs that are kept, 0…1.
        package let kept: [[Double]]
        /// The share of all causal pairs that are kept, 0…1.
        package let density: Double
        /// The share of the attention mass on the kept pairs, mean over the queries, 0…1.
        package let retainedMass: Double
        /// That share for each row of cells; nil when it is not known.
        package let retainedByQuery: [Double]?

        package init(window: Int?, kept: [[Double]], density: Double, retainedMass: Double, retainedByQuery: [Double]? = nil) {
            self.window = window
            self.kept = kept
            self.density = density
            self.retainedMass = retainedMass
            self.retainedByQuery = retainedByQuery
        }
    }

    /// How many columns and diagonals of blocks a pattern keeps.
    package struct BlockLines: Hashable, Sendable {
        package let columns, slashes: Int
        /// The tokens of a block.
        package let width: Int

        package init(columns: Int, slashes: Int, width: Int) {
            self.columns = columns
            self.slashes = slashes
            self.width = width
        }

        /// "3 columns and 1 slash of 128-token blocks".
        var text: String {
            "\(NumberFormat.count(columns)) column\(columns == 1 ? "" : "s") and \(NumberFormat.count(slashes)) "
                + "slash\(slashes == 1 ? "" : "es") of \(width)-token blocks"
        }
    }

    package let title: String
    /// The length of the prompt in tokens.
    package let length: Int
    /// `[query][key]`: the attention on a cell's keys, mean over its queries, so that a row sums to 1. Above the diagonal nothing
    /// is drawn, and where a value is NaN or infinite.
    package let mass: [[Double]]
    /// Nil when the pattern does not select single columns.
    package let importance: ColumnImportance?
    package let pattern: Pattern
    /// A sentence below the title.
    package var caption: String?

    /// A figure of `mass`, n × n cells for n up to `mostCells`, each for an equal part of the prompt.
    package init(title: String, length: Int, mass: [[Double]], importance: ColumnImportance?, pattern: Pattern) {
        let count = mass.count
        precondition(count <= Self.mostCells && count <= length, "at most \(Self.mostCells) cells a side, and no more than tokens")
        precondition(mass.allSatisfy { $0.count == count }, "as many keys as queries")
        precondition(pattern.kept.count == count && pattern.kept.allSatisfy { $0.count == count }, "a share kept for each cell")
        precondition(pattern.retainedByQuery.map { $0.count == count } ?? true, "a retained mass for each row")
        self.title = title
        self.length = length
        self.mass = mass
        self.importance = importance
        self.pattern = pattern
    }
}
