/// A matrix of values as coloured cells: layers × heads, lengths × depths.
package struct Heatmap: Hashable, Sendable {
    /// What the rows or columns are, and what each is called.
    package struct Labels: Hashable, Sendable {
        /// The singular, as in "layer 3": "layer", "head".
        package let name: String
        package let values: [String]

        package init(_ name: String, _ values: [String]) {
            self.name = name
            self.values = values
        }

        /// 0, 1, 2 … `count` − 1.
        package static func numbered(_ name: String, _ count: Int) -> Labels {
            Labels(name, (0..<count).map(String.init))
        }
    }

    package let title: String
    package let rows: Labels
    package let columns: Labels
    /// `[row][column]`; NaN and infinities show as "–".
    package let values: [[Double]]
    package let format: ValueFormat
    /// The values at the two ends of the colours; nil takes the least and the most of `values`. Values outside take the end's colour.
    package var range: ClosedRange<Double>?
    /// A sentence below the title.
    package var caption: String?

    /// A figure of `values`, one for each pair of a row and a column.
    package init(title: String, rows: Labels, columns: Labels, values: [[Double]], format: ValueFormat = .significant(3)) {
        precondition(values.count == rows.values.count, "one row of values for each row label")
        precondition(values.allSatisfy { $0.count == columns.values.count }, "one value for each column label")
        self.title = title
        self.rows = rows
        self.columns = columns
        self.values = values
        self.format = format
    }

    /// The range the colours span: the given one or the finite values'; nil when there is none.
    var colourRange: ClosedRange<Double>? {
        if let range { return range }
        let finite = values.joined().filter(\.isFinite)
        guard let least = finite.min(), let most = finite.max() else { return nil }
        return least...most
    }
}
