import Glibc

/// A line in a chart that values are compared with: a threshold, or equality.
package enum ChartRule: Hashable, Sendable {
    /// Where y has a value.
    case horizontal(at: Double, label: String)
    /// Where x has a value.
    case vertical(at: Double, label: String)
    /// Where x and y are the same. Both axes then show the same values, unless they are given their ranges.
    case diagonal(label: String)

    /// The values that the two axes have to show: those of the points, and the rules'.
    static func extent(of points: [(x: Double, y: Double)], with rules: [ChartRule]) -> (x: [Double], y: [Double]) {
        var (x, y) = (points.map(\.x), points.map(\.y))
        for case .horizontal(let value, _) in rules { y.append(value) }
        for case .vertical(let value, _) in rules { x.append(value) }
        guard rules.contains(where: { if case .diagonal = $0 { true } else { false } }) else { return (x, y) }
        return (x + y, x + y)
    }
}

extension ChartFrame {
    /// A rule and its label, which may stand on different layers of a drawing.
    typealias DrawnRule = (line: String, name: String)

    /// The rule and its label, as far as they are in sight.
    func drawn(_ rule: ChartRule) -> DrawnRule {
        switch rule {
        case .horizontal(let value, let label): y.position(value).map { horizontal(height($0), label) } ?? ("", "")
        case .vertical(let value, let label): x.position(value).map { vertical(across($0), label) } ?? ("", "")
        case .diagonal(let label): diagonal(label)
        }
    }

    private func horizontal(_ height: Double, _ label: String) -> DrawnRule {
        let isNearTop = height - 20 < top
        return (
            SVG.line(left, height, right, height, "rule"), name(label, left + 6, isNearTop ? height + 14 : height - 5, "start")
        )
    }

    private func vertical(_ across: Double, _ label: String) -> DrawnRule {
        let isNearEnd = across + 7 * Double(DisplayWidth.of(label)) + 6 > right
        return (
            SVG.line(across, top, across, bottom, "rule"),
            name(label, isNearEnd ? across - 6 : across + 6, bottom - 8, isNearEnd ? "end" : "start")
        )
    }

    /// The places where both values are the same: a straight line when the axes have one scale, else a curve.
    private func diagonal(_ label: String) -> DrawnRule {
        let least = max(x.domain.lowerBound, y.domain.lowerBound)
        let most = min(x.domain.upperBound, y.domain.upperBound)
        guard least < most else { return ("", "") }
        func place(at share: Double) -> (x: Double, y: Double)? {
            let value = xAxis.scale == .linear ? least + share * (most - least) : least * pow(most / least, share)
            return self.place(value, value)
        }
        let steps = xAxis.scale == yAxis.scale ? 1 : 48
        let path = SVG.path((0...steps).map { place(at: Double($0) / Double(steps)) })
        return ("<path class=\"rule\" d=\"\(path)\"/>\n", place(at: 0.1).map { name(label, $0.x + 10, $0.y + 8, "start") } ?? "")
    }

    private func name(_ label: String, _ x: Double, _ y: Double, _ anchor: String) -> String {
        SVG.text(label, x, y, anchor, " class=\"name\"")
    }
}
