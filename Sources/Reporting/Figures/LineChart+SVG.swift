extension LineChart {
    var figure: FigureParts {
        let frame = ChartFrame(x: x, y: y, points: series.flatMap { $0.points.map { ($0.x, $0.y) } })
        let first = series.firstIndex { line in line.points.contains { frame.place($0.x, $0.y) != nil } }
        let content = series.enumerated().map { drawing($1, number: $0, isFirst: $0 == first, in: frame) }.joined()
        let legend = series.enumerated().map { SeriesLook(number: $0).legendItem($1.name, withLine: true) }
        return FigureParts(
            title: title, caption: caption, legend: SeriesLook.legend(legend),
            drawing: frame.svg(title: title, content: content), values: values)
    }

    private func drawing(_ line: Series, number: Int, isFirst: Bool, in frame: ChartFrame) -> String {
        let look = SeriesLook(number: number)
        var path = ""
        var marks = ""
        var continues = false
        for (column, point) in line.points.enumerated() {
            guard let place = frame.place(point.x, point.y) else {
                continues = false
                continue
            }
            path += (continues ? "L" : "M") + HTMLText.coordinate(place.x) + " " + HTMLText.coordinate(place.y)
            continues = true
            let mark = SVGMark(
                label: frame.label(line.name, point.x, point.y), row: number, column: column,
                isFirst: isFirst && marks.isEmpty, role: "img")
            marks += mark.svg(look.shape(at: place, radius: 11, kind: "hit") + look.shape(at: place, radius: 4))
        }
        guard !path.isEmpty else { return "" }
        // Past some forty points the shapes would hide the line; they show on hover and focus only.
        let kind = look.colourClass + (line.points.count > 40 ? " many" : "")
        return "<g class=\"\(kind)\">\n<path class=\"line\" d=\"\(path)\"/>\n\(marks)</g>\n"
    }

    /// One row for each x, one column for each series.
    private var values: TextTable {
        let lookup = series.map { Dictionary($0.points.map { ($0.x, $0.y) }, uniquingKeysWith: { first, _ in first }) }
        let places = Set(series.flatMap { $0.points.map(\.x) }).filter(\.isFinite).sorted()
        let rows = places.map { place in
            [x.format.text(place)] + lookup.map { y.format.text($0[place] ?? .nan) }
        }
        return TextTable(columns: [.right(x.label)] + series.map { .right($0.name) }, rows: rows)
    }
}
