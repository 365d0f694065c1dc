/// The axes, grid and labels that every chart stands in, and the way from values to the drawing. Units: pixels at full size.
struct ChartFrame {
    /// The room of a drawing.
    struct Layout {
        /// A chart that has the page's width to itself, with room for the larger text that narrow screens get.
        static let full = Layout(width: 460, height: 300)

        let width: Double
        let height: Double
        /// The margins beside the axes; nil leaves room for the labels.
        var margins: (left: Double, right: Double)?
        /// How many ticks there are at most along each axis.
        var ticks = (x: 6, y: 6)
    }

    let x: AxisProjection
    let y: AxisProjection
    let xAxis: ChartAxis
    let yAxis: ChartAxis
    let left: Double
    let right: Double
    let top = 30.0
    let bottom: Double
    private let layout: Layout
    private let rules: [ChartRule]

    /// A frame that shows all `points` and `rules`.
    init(
        x xAxis: ChartAxis, y yAxis: ChartAxis, points: [(x: Double, y: Double)], rules: [ChartRule] = [], layout: Layout = .full
    ) {
        let drawn = points.filter { xAxis.canDraw($0.x) && yAxis.canDraw($0.y) }
        let shown = ChartRule.extent(of: drawn, with: rules)
        x = AxisProjection(xAxis, values: shown.x, maximumTicks: layout.ticks.x)
        y = AxisProjection(yAxis, values: shown.y, maximumTicks: layout.ticks.y)
        self.xAxis = xAxis
        self.yAxis = yAxis
        self.rules = rules
        self.layout = layout
        left = layout.margins?.left ?? 9 * Double(y.ticks.map { DisplayWidth.of($0.text) }.max() ?? 0) + 12
        right = layout.width - (layout.margins?.right ?? max(16, 4.5 * Double(DisplayWidth.of(x.ticks.last?.text ?? ""))))
        bottom = layout.height - 52
    }

    /// A value's place in the drawing; nil when it has none.
    func place(_ valueX: Double, _ valueY: Double) -> (x: Double, y: Double)? {
        guard let shareX = x.position(valueX), let shareY = y.position(valueY) else { return nil }
        return (across(shareX), height(shareY))
    }

    /// The horizontal place of a share, 0…1, of the x axis.
    func across(_ share: Double) -> Double { left + share * (right - left) }

    /// The vertical place of a share, 0…1, of the y axis.
    func height(_ share: Double) -> Double { bottom - share * (bottom - top) }

    /// Whether a box lies inside the axes.
    func contains(_ boxX: ClosedRange<Double>, _ boxY: ClosedRange<Double>) -> Bool {
        boxX.lowerBound >= left && boxX.upperBound <= right && boxY.lowerBound >= top && boxY.upperBound <= bottom
    }

    /// What a point tells: "dense: length 4,096, time 12.3 ms".
    func label(_ name: String, _ valueX: Double, _ valueY: Double) -> String {
        "\(name): \(xAxis.label) \(xAxis.format.text(valueX)), \(yAxis.label) \(yAxis.format.text(valueY))"
    }

    /// The drawing with `content` in it, on or below the rules, whose labels are above all; it says so if that is empty.
    func svg(title: String, content: String, rulesOnTop: Bool = false) -> String {
        let label = HTMLText.escaped("\(title): \(yAxis.title) by \(xAxis.title)")
        let size = "\(HTMLText.coordinate(layout.width)) \(HTMLText.coordinate(layout.height))"
        let body = content.isEmpty ? SVG.text("no values", (left + right) / 2, (top + bottom) / 2, "middle") : content
        let rules = rules.map(drawn)
        let lines = rules.map(\.line).joined()
        let drawing = background + (rulesOnTop ? body + lines : lines + body) + rules.map(\.name).joined()
        return "<svg class=\"chart\" role=\"group\" aria-label=\"\(label)\" viewBox=\"0 0 \(size)\">\n\(drawing)</svg>"
    }

    private var background: String {
        let yTicks = y.ticks.compactMap { tick in
            y.position(tick.value).map { share in
                SVG.line(left, height(share), right, height(share)) + SVG.text(tick.text, left - 8, height(share) + 4, "end")
            }
        }
        let xTicks = x.ticks.compactMap { tick in
            x.position(tick.value).map { share in
                SVG.line(across(share), bottom, across(share), bottom + 5)
                    + SVG.text(tick.text, across(share), bottom + 20, "middle")
            }
        }
        let names =
            SVG.text(yAxis.title, 0, 14, "start", " class=\"axis\"")
            + SVG.text(xAxis.title, (left + right) / 2, bottom + 44, "middle", " class=\"axis\"")
        let base = SVG.line(left, bottom, right, bottom, "grid base")
        return "<g aria-hidden=\"true\">\n" + yTicks.joined() + xTicks.joined() + base + names + "</g>\n"
    }
}
