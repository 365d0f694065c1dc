/// The importance of an attention map's key columns: by position, and sorted up to the cut-off.
struct ImportancePanel {
    private static let shades = 4
    private static let mostMarks = 16
    /// Importances below this share of the greatest are drawn as if they were it.
    private static let least = 1e-6

    private let map: AttentionMap
    private let importance: AttentionMap.ColumnImportance

    init(_ map: AttentionMap, _ importance: AttentionMap.ColumnImportance) {
        self.map = map
        self.importance = importance
    }

    var html: String {
        AttentionMap.panel(
            "Importance of the key columns", note: selection, drawing: byPosition + sorted,
            legend: [
                AttentionMap.legendItem("<path class=\"bar selected\" stroke-width=\"12\" d=\"M0 6H26\"/>", "selected"),
                AttentionMap.legendItem("<path class=\"bar\" stroke-width=\"12\" d=\"M0 6H26\"/>", "not selected"),
            ])
    }

    /// What was selected for what. The rows that were not sampled may keep less than α.
    private var selection: String {
        guard let count = importance.selectedCount else { return "All columns are kept" }
        let columns = "\(NumberFormat.count(count)) of \(NumberFormat.count(map.length)) columns selected"
        return importance.alpha.map { "\(columns) for α = \($0) of the sampled rows" } ?? columns
    }

    /// Bars by position; their colour tells the share selected.
    private var byPosition: String {
        let most = importance.byKey.filter(\.isFinite).max() ?? 0
        let heights = importance.byKey.map { $0 > 0 ? max($0, most * Self.least) : .nan }
        let frame = ChartFrame(
            x: map.positions("key"), y: ChartAxis("importance", scale: .log10),
            points: heights.map { (0, $0) }, layout: AttentionMap.layout(height: 148, yTicks: 3))
        let drawn = (0...Self.shades).map { bars($0, heights, in: frame) }.joined()
        return frame.svg(title: map.title, content: drawn.isEmpty ? "" : drawn + marks(in: frame))
    }

    /// The bars of one shade, as one path: shade 0 is not selected, the last one wholly.
    private func bars(_ shade: Int, _ heights: [Double], in frame: ChartFrame) -> String {
        let width = Double(map.length) / Double(heights.count)
        let bars = heights.indices.filter { self.shade(importance.selected[$0]) == shade }.compactMap { index in
            frame.place((Double(index) + 0.5) * width, heights[index]).map { place in
                "M\(HTMLText.coordinate(place.x)) \(HTMLText.coordinate(frame.bottom))V\(HTMLText.coordinate(place.y))"
            }
        }
        guard !bars.isEmpty else { return "" }
        let thickness = HTMLText.coordinate((frame.right - frame.left) / Double(heights.count))
        let look = shade == 0 ? "bar" : "bar selected"
        let opacity = HTMLText.coordinate(0.4 + 0.6 * Double(shade) / Double(Self.shades))
        return """
            <path class="\(look)" stroke-width="\(thickness)"\(shade == 0 ? "" : " stroke-opacity=\"\(opacity)\"") d="\(bars.joined())"/>

            """
    }

    private func shade(_ share: Double) -> Int {
        share > 0 ? Int((min(1, share) * Double(Self.shades)).rounded(.up)) : 0
    }

    private func marks(in frame: ChartFrame) -> String {
        let count = importance.byKey.count
        return Thinning.bands(of: count, atMost: Self.mostMarks).enumerated().map { column, band in
            let shares = importance.selected[band].map { min(1, max(0, $0)) }
            let label =
                "keys \(map.tokens(band, of: count)): importance \(NumberFormat.significant(importance.byKey[band].max() ?? .nan)), "
                + "\(NumberFormat.percent(shares.reduce(0, +) / Double(band.count))) selected"
            let mark = SVGMark(label: label, row: 0, column: column, isFirst: column == 0, role: "img")
            let width = (frame.right - frame.left) / Double(count)
            return mark.svg(
                SVG.band(
                    x: frame.left + width * Double(band.lowerBound), y: frame.top, width: width * Double(band.count),
                    height: frame.bottom - frame.top))
        }.joined()
    }

    /// The share of the mass that the most important columns hold, with the cut-off at α; below the curve, what is selected.
    private var sorted: String {
        let alpha = importance.alpha.map { ChartRule.horizontal(at: $0, label: "α = \($0)") }
        let count = importance.selectedCount.map { ChartRule.vertical(at: Double($0), label: "k = \(NumberFormat.count($0))") }
        let frame = ChartFrame(
            x: ChartAxis("most important columns", scale: .log2, format: .count),
            y: ChartAxis("share of the mass", format: .percent(decimals: 1), range: 0...1),
            points: importance.cumulative.map { ($0.x, $0.y) },
            rules: [alpha, count].compactMap(\.self), layout: AttentionMap.layout(height: 190, yTicks: 5))
        let curve = LineChart.Series("cumulative", importance.cumulative)
        return frame.svg(title: map.title, content: selectedArea(in: frame) + curve.drawing(number: 0, isFirst: true, in: frame))
    }

    private func selectedArea(in frame: ChartFrame) -> String {
        let selected = importance.cumulative.filter { $0.x <= Double(importance.selectedCount ?? 0) }
        let places = selected.compactMap { frame.place($0.x, $0.y) }
        guard let first = places.first, let last = places.last, places.count > 1 else { return "" }
        let corners = [(x: last.x, y: frame.bottom), (x: first.x, y: frame.bottom)]
        return "<path class=\"area\" d=\"\(SVG.path(places + corners))z\"/>\n"
    }
}
