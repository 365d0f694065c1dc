extension AttentionMap {
    /// As many rows of cells are told about one by one; among more, stretches of rows.
    private static let mostBands = 16

    /// Neighbouring rows of cells, in words.
    struct Band {
        let rows: Range<Int>
        /// The positions in the prompt, "1,024 to 1,279".
        let queries: String
        /// The keys of the cells with the most mass.
        let keys: String
        let mass: String
        let kept: String
        let retained: String?

        /// What the drawing of all cells tells.
        var attention: String { "queries \(queries): most mass, \(mass), on keys \(keys)" }
        /// What the drawing of the mask tells.
        var mask: String { "queries \(queries): \(kept) of the pairs" + (retained.map { " hold \($0) of the mass" } ?? " kept") }
    }

    var bands: [Band] { Thinning.bands(of: mass.count, atMost: Self.mostBands).map(band) }

    private func band(_ rows: Range<Int>) -> Band {
        let means = (0..<rows.upperBound).map { key in
            Self.mean(rows.filter { key <= $0 }.map { mass[$0][key] }.filter(\.isFinite)) ?? 0
        }
        let strongest = means.indices.max { (means[$0], $1) < (means[$1], $0) } ?? 0
        let retained = pattern.retainedByQuery.map { NumberFormat.percent(Self.mean(Array($0[rows])) ?? .nan) }
        return Band(
            rows: rows, queries: tokens(rows, of: mass.count), keys: tokens(strongest..<strongest + 1, of: mass.count),
            mass: NumberFormat.percent(means[strongest]), kept: NumberFormat.percent(keptShare(of: rows)), retained: retained)
    }

    /// The share kept of all causal pairs in the rows; a cell on the diagonal has about half the pairs of another.
    private func keptShare(of rows: Range<Int>) -> Double {
        let kept = rows.reduce(0.0) { $0 + pattern.kept[$1].prefix($1).reduce(0, +) + pattern.kept[$1][$1] / 2 }
        return kept / rows.reduce(0.0) { $0 + Double($1) + 0.5 }
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    /// One row for each band.
    var values: TextTable {
        let rows = bands.map { [$0.queries, $0.keys, $0.mass, $0.kept] + ($0.retained.map { [$0] } ?? []) }
        return TextTable(
            columns: [.left("queries"), .left("strongest keys"), .right("mass there"), .right("pairs kept")]
                + (pattern.retainedByQuery == nil ? [] : [.right("mass kept")]),
            rows: rows)
    }
}
