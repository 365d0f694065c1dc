extension AttentionMap {
    var figure: FigureParts {
        let cells = AttentionMapCells(self)
        let importance = importance.map { ImportancePanel(self, $0).html }
        let panels = [importance, cells.attentionPanel, cells.maskPanel].compactMap(\.self)
        return FigureParts(
            title: title, caption: caption, legend: "", drawing: "<div class=\"panels\">\n\(panels.joined())</div>",
            values: values)
    }

    /// A drawing with its heading, a sentence with its important figures, and what its colours mean.
    static func panel(_ title: String, note: String, drawing: String, legend: [String]) -> String {
        """
        <div class="panel">
        <p><strong>\(HTMLText.escaped(title))</strong><span>\(HTMLText.escaped(note))</span></p>
        <div>\(drawing)</div>
        \(SeriesLook.list(legend))</div>

        """
    }

    /// An entry of a panel's legend: a swatch, twelve pixels high, and its meaning.
    static func legendItem(_ swatch: String, width: Int = 26, _ meaning: String) -> String {
        "<li><svg width=\"\(width)\" height=\"12\" aria-hidden=\"true\">\(swatch)</svg>\(HTMLText.escaped(meaning))</li>\n"
    }

    /// The room of a panel's drawing: what lies below one another in two panels has one height.
    static func layout(height: Double, yTicks: Int) -> ChartFrame.Layout {
        ChartFrame.Layout(width: 330, height: height, margins: (left: 56, right: 18), ticks: (x: 5, y: yTicks))
    }

    /// The axis of positions in the prompt.
    func positions(_ label: String) -> ChartAxis {
        ChartAxis(label, format: .count, range: 0...Double(max(1, length)))
    }

    /// The positions in the prompt of a stretch of `count` equal parts: "1,024 to 1,087".
    func tokens(_ parts: Range<Int>, of count: Int) -> String {
        let first = parts.lowerBound * length / count
        let last = max(first, parts.upperBound * length / count - 1)
        return first == last ? NumberFormat.count(first) : "\(NumberFormat.count(first)) to \(NumberFormat.count(last))"
    }
}
