extension LineChart {
    var figure: FigureParts {
        let frame = ChartFrame(x: x, y: y, points: series.flatMap { $0.points.map { ($0.x, $0.y) } }, rules: rules)
        guard let colours = GroupColours(series.map(\.group)) else { return figure(in: frame) }
        let bundle = LineBundle(self, colours: colours, frame: frame)
        return FigureParts(
            title: title, caption: caption, legend: bundle.legend,
            drawing: frame.svg(title: title, content: bundle.content, rulesOnTop: true), values: bundle.values)
    }

    private func figure(in frame: ChartFrame) -> FigureParts {
        let first = series.firstIndex { line in line.points.contains { frame.place($0.x, $0.y) != nil } }
        let content = series.enumerated().map { $1.drawing(number: $0, isFirst: $0 == first, in: frame) }.joined()
        let legend = series.enumerated().map { SeriesLook(number: $0).legendItem($1.name, withLine: true) }
        return FigureParts(
            title: title, caption: caption, legend: SeriesLook.legend(legend),
            drawing: frame.svg(title: title, content: content), values: values)
    }

    /// One row for each x, one column for each series.
    private var values: TextTable {
        let lookup = series.map(\.valueByX)
        let places = Set(series.flatMap { $0.points.map(\.x) }).filter(\.isFinite).sorted()
        let rows = places.map { place in
            [x.format.text(place)] + lookup.map { y.format.text($0[place] ?? .nan) }
        }
        return TextTable(columns: [.right(x.label)] + series.map { .right($0.name) }, rows: rows)
    }
}

extension LineChart.Series {
    /// The first y of each x.
    var valueByX: [Double: Double] { Dictionary(points.map { ($0.x, $0.y) }, uniquingKeysWith: { first, _ in first }) }

    /// The line and its marks, in row `number`, whose look they have.
    func drawing(number: Int, isFirst: Bool, in frame: ChartFrame) -> String {
        let look = SeriesLook(number: number)
        let places = points.map { frame.place($0.x, $0.y) }
        var marks = ""
        for case (let column, (let point, let place?)) in zip(points, places).enumerated() {
            let mark = SVGMark(
                label: frame.label(name, point.x, point.y), row: number, column: column,
                isFirst: isFirst && marks.isEmpty, role: "img")
            marks += mark.svg(look.shape(at: place, radius: 11, kind: "hit") + look.shape(at: place, radius: 4))
        }
        guard !marks.isEmpty else { return "" }
        // Past some forty points the shapes would hide the line; they show on hover and focus only.
        let kind = look.colourClass + (points.count > 40 ? " many" : "")
        return "<g class=\"\(kind)\">\n<path class=\"line\" d=\"\(SVG.path(places))\"/>\n\(marks)</g>\n"
    }
}
