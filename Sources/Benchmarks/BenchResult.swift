import Reporting
import RunProvenance

/// What a benchmark found: where it ran, and a row a measurement.
package struct BenchResult<Row: BenchRow>: Encodable {
    package let provenance: Provenance
    /// Of the model, where one was loaded.
    package let loadSeconds: Double?
    package let results: [Row]

    package init(provenance: Provenance, loadSeconds: Double? = nil, results: [Row]) {
        (self.provenance, self.loadSeconds, self.results) = (provenance, loadSeconds, results)
    }

    /// The machine, and a table.
    package var text: String {
        var table = TextTable(columns: [.left(Row.titles[0])] + Row.titles.dropFirst().map { .right($0) })
        for row in results { table.append(row.cells) }
        let loading = loadSeconds.map { "model loaded in \(NumberFormat.fixed($0, decimals: 3)) s\n" } ?? ""
        return "\(provenance.machine.summary)\n\(loading)\n\(table.text())"
    }
}

/// One measurement: its fields are what programs read, its cells what people do.
package protocol BenchRow: Encodable {
    static var titles: [String] { get }
    var cells: [String] { get }
}
