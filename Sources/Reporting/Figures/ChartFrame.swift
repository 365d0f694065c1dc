/// The axes, grid and labels that every chart stands in, and the way from values to the drawing. Units: pixels at full size.
struct ChartFrame {
    private static let width = 460.0
    private static let height = 300.0

    private let x: AxisProjection
    private let y: AxisProjection
    private let xAxis: ChartAxis
    private let yAxis: ChartAxis
    private let left: Double
    private let right: Double
    private let top = 30.0
    private let bottom = height - 52

    /// A frame that shows all `points`.
    init(x xAxis: ChartAxis, y yAxis: ChartAxis, points: [(x: Double, y: Double)]) {
        let drawn = points.filter { xAxis.canDraw($0.x) && yAxis.canDraw($0.y) }
        x = AxisProjection(xAxis, values: drawn.map(\.x), maximumTicks: 6)
        y = AxisProjection(yAxis, values: drawn.map(\.y), maximumTicks: 6)
        self.xAxis = xAxis
        self.yAxis = yAxis
        // Room for the text at the size narrow screens get.
        left = 9 * Double(y.ticks.map { DisplayWidth.of($0.text) }.max() ?? 0) + 12
        right = Self.width - max(16, 4.5 * Double(DisplayWidth.of(x.ticks.last?.text ?? "")))
    }

    /// A value's place in the drawing; nil when it has none.
    func place(_ valueX: Double, _ valueY: Double) -> (x: Double, y: Double)? {
        guard let shareX = x.position(valueX), let shareY = y.position(valueY) else { return nil }
        return (left + shareX * (right - left), bottom - shareY * (bottom - top))
    }

    /// Whether a box lies inside the axes.
    func contains(_ boxX: ClosedRange<Double>, _ boxY: ClosedRange<Double>) -> Bool {
        boxX.lowerBound >= left && boxX.upperBound <= right && boxY.lowerBound >= top && boxY.upperBound <= bottom
    }

    /// What a point tells: "dense: length 4,096, time 12.3 ms".
    func label(_ name: String, _ valueX: Double, _ valueY: Double) -> String {
        "\(name): \(xAxis.label) \(xAxis.format.text(valueX)), \(yAxis.label) \(yAxis.format.text(valueY))"
    }

    /// The drawing with `content` in it; it says so if that is empty.
    func svg(title: String, content: String) -> String {
        let label = HTMLText.escaped("\(title): \(yAxis.title) by \(xAxis.title)")
        let size = "\(HTMLText.coordinate(Self.width)) \(HTMLText.coordinate(Self.height))"
        let body = content.isEmpty ? text("no values", (left + right) / 2, (top + bottom) / 2, "middle") : content
        return "<svg class=\"chart\" role=\"group\" aria-label=\"\(label)\" viewBox=\"0 0 \(size)\">\n\(background)\(body)</svg>"
    }

    private var background: String {
        let yTicks = y.ticks.compactMap { tick in
            y.position(tick.value).map { share in
                let height = bottom - share * (bottom - top)
                return line(left, height, right, height) + text(tick.text, left - 8, height + 4, "end")
            }
        }
        let xTicks = x.ticks.compactMap { tick in
            x.position(tick.value).map { share in
                let across = left + share * (right - left)
                return line(across, bottom, across, bottom + 5) + text(tick.text, across, bottom + 20, "middle")
            }
        }
        let names =
            text(yAxis.title, 0, 14, "start", " class=\"axis\"")
            + text(xAxis.title, (left + right) / 2, bottom + 44, "middle", " class=\"axis\"")
        let base = line(left, bottom, right, bottom, "grid base")
        return "<g aria-hidden=\"true\">\n" + yTicks.joined() + xTicks.joined() + base + names + "</g>\n"
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String = "grid") -> String {
        let ends = zip(["x1", "y1", "x2", "y2"], [x1, y1, x2, y2]).map { "\($0)=\"\(HTMLText.coordinate($1))\"" }
        return "<line class=\"\(kind)\" \(ends.joined(separator: " "))/>\n"
    }

    func text(_ content: String, _ x: Double, _ y: Double, _ anchor: String, _ attributes: String = "") -> String {
        """
        <text\(attributes) x="\(HTMLText.coordinate(x))" y="\(HTMLText.coordinate(y))" text-anchor="\(anchor)">\
        \(HTMLText.escaped(content))</text>

        """
    }
}

/// The look of the series with some number: a colour class and a shape, so that neither has to tell series apart alone.
struct SeriesLook {
    let number: Int

    var colourClass: String { "s\(number % 7)" }

    /// A closed path around a place: circle, square, triangle or diamond.
    func shape(at place: (x: Double, y: Double), radius: Double, kind: String = "shape point") -> String {
        let (x, y, r) = (HTMLText.coordinate(place.x), HTMLText.coordinate(place.y), radius)
        let path =
            switch number % 4 {
            case 0: "m\(-r) 0a\(r) \(r) 0 1 0 \(2 * r) 0a\(r) \(r) 0 1 0 \(-2 * r) 0z"
            case 1: "m\(-0.9 * r) \(-0.9 * r)h\(1.8 * r)v\(1.8 * r)h\(-1.8 * r)z"
            case 2: "m0 \(-1.2 * r)l\(1.15 * r) \(2 * r)h\(-2.3 * r)z"
            default: "m0 \(-1.3 * r)l\(1.3 * r) \(1.3 * r)l\(-1.3 * r) \(1.3 * r)l\(-1.3 * r) \(-1.3 * r)z"
            }
        return "<path class=\"\(kind)\" d=\"M\(x) \(y)\(path)\"/>"
    }

    /// An entry of a legend: the look and its name.
    func legendItem(_ name: String, withLine: Bool, isOther: Bool = false) -> String {
        let line = withLine ? "<path class=\"line\" d=\"M1 7H25\"/>" : ""
        return """
            <li class="\(isOther ? "other" : colourClass)"><svg width="26" height="14" aria-hidden="true">\(line)\
            \(shape(at: (13, 7), radius: 4))</svg>\(HTMLText.escaped(name))</li>

            """
    }

    /// A legend of its entries; nothing when there is nothing to tell apart.
    static func legend(_ items: [String]) -> String {
        items.count > 1 ? "<ul class=\"legend\">\n\(items.joined())</ul>\n" : ""
    }
}
