/// A chart of many lines, in the colours of their groups.
struct LineBundle {
    /// More would make a page heavy: a mark takes a quarter of a kilobyte, a value in the table a tenth of that.
    private static let mostMarks = 1024
    private static let mostValues = 4096

    private let chart: LineChart
    private let colours: GroupColours
    private let frame: ChartFrame

    init(_ chart: LineChart, colours: GroupColours, frame: ChartFrame) {
        self.chart = chart
        self.colours = colours
        self.frame = frame
    }

    /// Whether the lines cover one another, unless they are thinner still.
    private var isDense: Bool { chart.series.count > 64 }

    var legend: String { SeriesLook.legend(colours.legendItems) }

    var content: String {
        let lines = colours.members(Array(chart.series.enumerated()), of: \.element.group)
        let first = chart.series.firstIndex { line in line.points.contains { frame.place($0.x, $0.y) != nil } }
        let groups = lines.map { name, members in
            let lines = members.map { drawing($0.element, row: $0.offset, isFirst: $0.offset == first) }
            return "<g\(colours.attributes(name))>\n\(lines.joined())</g>\n"
        }
        return first == nil ? "" : "<g class=\"bundle\(isDense ? " dense" : "")\">\n\(groups.joined())</g>\n"
    }

    /// A line, itself a mark that tells its name, and the marks of its points. The first column is the line.
    private func drawing(_ line: LineChart.Series, row: Int, isFirst: Bool) -> String {
        let path = SVG.path(line.points.map { frame.place($0.x, $0.y) })
        guard !path.isEmpty else { return "" }
        let whole = SVGMark(label: label(line), row: row, column: 0, isFirst: isFirst, role: "img")
        let most = Self.mostMarks / chart.series.count - 1
        let points = Thinning.places(of: line.points.count, atMost: most).map { mark(line, at: $0, row: row) }
        return "<g class=\"series\">\(whole.svg("<path class=\"line\" d=\"\(path)\"/>"))\(points.joined())</g>\n"
    }

    /// "layer 3, head 2: mass 62.1 % to 99.2 %", from the first point to the last.
    private func label(_ line: LineChart.Series) -> String {
        let values = line.points.filter { frame.place($0.x, $0.y) != nil }.map { chart.y.format.text($0.y) }
        return "\(line.name): \(chart.y.label) \(values.first ?? "") to \(values.last ?? "")"
    }

    private func mark(_ line: LineChart.Series, at index: Int, row: Int) -> String {
        let point = line.points[index]
        guard let place = frame.place(point.x, point.y) else { return "" }
        let mark = SVGMark(
            label: frame.label(line.name, point.x, point.y), row: row, column: index + 1, isFirst: false, role: "img")
        return mark.svg("<circle class=\"dot\" cx=\"\(HTMLText.coordinate(place.x))\" cy=\"\(HTMLText.coordinate(place.y))\" r=\"3\"/>")
    }

    /// One row for each line, one column for each x, evenly chosen ones where all would be too many.
    var values: TextTable {
        let all = Set(chart.series.flatMap { $0.points.map(\.x) }).filter(\.isFinite).sorted()
        let shown = Thinning.places(of: all.count, atMost: max(2, Self.mostValues / chart.series.count)).map { all[$0] }
        let rows = chart.series.map { line in
            let lookup = line.valueByX
            return [line.name] + shown.map { chart.y.format.text(lookup[$0] ?? .nan) }
        }
        return TextTable(
            columns: [.left("\(chart.y.label) by \(chart.x.label)")] + shown.map { .right(chart.x.format.text($0)) }, rows: rows)
    }
}
