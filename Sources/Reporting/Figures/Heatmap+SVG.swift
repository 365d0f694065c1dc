extension Heatmap {
    var figure: FigureParts {
        FigureParts(title: title, caption: caption, legend: "", drawing: HeatmapDrawing(self).svg, values: nil)
    }
}

/// Where everything of a heat map goes. Units: pixels.
private struct HeatmapDrawing {
    private let map: Heatmap
    private let cellWidth: Double
    private let cellHeight: Double
    private let left: Double
    private let top = 44.0
    private let showsValues: Bool

    init(_ map: Heatmap) {
        self.map = map
        let columns = map.columns.values.count
        showsValues = columns <= 16
        let widest = map.values.joined().map { DisplayWidth.of(map.format.text($0)) }.max() ?? 0
        let side = (680 / Double(max(1, columns))).rounded(.down)
        // Few columns can all have their labels.
        let label = columns <= 4 ? 7.2 * Double(map.columns.values.map(DisplayWidth.of).max() ?? 0) + 6 : 0
        cellWidth = showsValues ? max(40, label, 7 * Double(widest) + 14) : min(20, max(9, side))
        cellHeight = showsValues ? 30 : cellWidth
        let labels = [map.rows.name] + map.rows.values
        left = 7.2 * Double(labels.map(DisplayWidth.of).max() ?? 0) + 12
    }

    private var width: Double { max(left + cellWidth * Double(map.columns.values.count), left + 200) }
    private var height: Double { bottom + (map.values.joined().allSatisfy(\.isFinite) ? 54 : 72) }
    private var bottom: Double { top + cellHeight * Double(map.rows.values.count) }

    var svg: String {
        let label = HTMLText.escaped("\(map.title): \(map.rows.name) by \(map.columns.name)")
        let rows = map.rows.values.indices.map { "<g role=\"row\">\n\(rowLabel($0))\(cells($0))</g>\n" }
        return """
            <svg role="grid" aria-label="\(label)" width="\(number(width))" height="\(number(height))" \
            viewBox="0 0 \(number(width)) \(number(height))" style="min-width:\(number(width * 0.75))px">
            \(axisNames)<g role="row">
            \(columnLabels)</g>
            \(rows.joined())\(legend)</svg>
            """
    }

    private var axisNames: String {
        let middle = left + cellWidth * Double(map.columns.values.count) / 2
        return SVG.text(map.columns.name, middle, 14, "middle", " class=\"axis\"")
            + SVG.text(map.rows.name, left - 8, 36, "end", " class=\"axis\"")
    }

    /// As many labels as have room, at even distances.
    private var columnLabels: String {
        let widest = map.columns.values.map(DisplayWidth.of).max() ?? 0
        let every = max(1, Int(((7.2 * Double(widest) + 6) / cellWidth).rounded(.up)))
        return map.columns.values.enumerated().filter { $0.offset.isMultiple(of: every) }.map { column, label in
            SVG.text(label, left + (Double(column) + 0.5) * cellWidth, 36, "middle", " role=\"columnheader\"")
        }.joined()
    }

    private func rowLabel(_ row: Int) -> String {
        let every = max(1, Int((14 / cellHeight).rounded(.up)))
        guard row.isMultiple(of: every) else { return "" }
        return SVG.text(map.rows.values[row], left - 8, top + (Double(row) + 0.5) * cellHeight + 4, "end", " role=\"rowheader\"")
    }

    private func cells(_ row: Int) -> String {
        map.values[row].enumerated().map { column, value in
            let shown = map.format.text(value)
            let label = "\(map.rows.name) \(map.rows.values[row]), \(map.columns.name) \(map.columns.values[column]): \(shown)"
            let mark = SVGMark(label: label, row: row, column: column, isFirst: row == 0 && column == 0, role: "gridcell")
            return mark.svg(cell(value, shown, left + Double(column) * cellWidth, top + Double(row) * cellHeight))
        }.joined()
    }

    private func cell(_ value: Double, _ shown: String, _ x: Double, _ y: Double) -> String {
        let gap = showsValues ? 2.0 : 1.0
        let colour = colour(of: value)
        let paint = colour.map { "class=\"shape cell\" fill=\"\($0.hex)\"" } ?? "class=\"shape missing\""
        let rectangle = """
            <rect \(paint) x="\(number(x + gap / 2))" y="\(number(y + gap / 2))" width="\(number(cellWidth - gap))" \
            height="\(number(cellHeight - gap))" rx="\(showsValues ? 3 : 1.5)"/>
            """
        guard showsValues || colour == nil else { return rectangle }
        let ink = colour.map { " style=\"fill:\($0.textHex)\"" } ?? ""
        return rectangle
            + SVG.text(shown, x + cellWidth / 2, y + cellHeight / 2 + 4, "middle", " class=\"value\" aria-hidden=\"true\"" + ink)
    }

    private func colour(of value: Double) -> ColourScale.Colour? {
        guard value.isFinite, let range = map.colourRange else { return nil }
        // Halves, because the span of two finite numbers may be infinite.
        let span = range.upperBound / 2 - range.lowerBound / 2
        return ColourScale.colour(at: span > 0 ? (value / 2 - range.lowerBound / 2) / span : 0.5)
    }

    /// The colours with the values at their ends and middle, and what "–" means if it occurs.
    private var legend: String {
        let y = bottom + 22
        let missing = map.values.joined().contains { !$0.isFinite }
        guard let range = map.colourRange else { return SVG.text("– no value", left, y + 10, "start") }
        let length = 180.0
        let middle = range.lowerBound / 2 + range.upperBound / 2
        let numbers =
            range.lowerBound < range.upperBound
            ? SVG.text(map.format.text(range.lowerBound), left, y + 26, "start")
                + SVG.text(map.format.text(middle), left + length / 2, y + 26, "middle")
                + SVG.text(map.format.text(range.upperBound), left + length, y + 26, "end")
            : SVG.text(map.format.text(middle), left + length / 2, y + 26, "middle")
        return ColourBar.svg(x: left, y: y, width: length, height: 10) + numbers
            + (missing ? SVG.text("– no value", left, y + 44, "start") : "")
    }

    private func number(_ value: Double) -> String { HTMLText.coordinate(value) }
}
