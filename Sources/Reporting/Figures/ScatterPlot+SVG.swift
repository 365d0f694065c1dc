extension ScatterPlot {
    private static let others = SeriesLook(number: 0)
    private static let front = SeriesLook(number: 3)

    var figure: FigureParts {
        let frame = ChartFrame(x: x, y: y, points: points.map { ($0.x, $0.y) }, rules: rules)
        // From left to right, so that the arrow keys walk the way the eye does.
        let placed = points.compactMap { point in frame.place(point.x, point.y).map { (point, $0) } }
            .sorted { ($0.1.x, $0.0.label) < ($1.1.x, $1.0.label) }
        let colours = GroupColours(points.filter { !$0.isOnFront }.map(\.group))
        return FigureParts(
            title: title, caption: caption, legend: legend(placed.map(\.0), colours),
            drawing: frame.svg(title: title, content: drawing(placed, colours, in: frame), rulesOnTop: isDense), values: values)
    }

    /// Whether points as large as they can be would hide one another and the rules.
    private var isDense: Bool { points.count > 100 }

    private func legend(_ shown: [Point], _ colours: GroupColours?) -> String {
        let isTwofold = shown.contains(where: \.isOnFront) && shown.contains { !$0.isOnFront }
        let front = isTwofold ? [Self.front.legendItem(frontName, withLine: true)] : []
        let others = isTwofold ? [Self.others.legendItem(othersName, withLine: false, isOther: true)] : []
        return SeriesLook.legend(front + (colours?.legendItems ?? others))
    }

    private func drawing(
        _ placed: [(point: Point, place: (x: Double, y: Double))], _ colours: GroupColours?, in frame: ChartFrame
    ) -> String {
        guard !placed.isEmpty else { return "" }
        let joined = placed.filter(\.point.isOnFront)
        let line = joined.count > 1 ? "<path class=\"line\" d=\"\(SVG.path(joined.map(\.place)))\"/>\n" : ""
        let marks = placed.enumerated().map { (point: $1.point, svg: mark($1.point, $1.place, $0, frame)) }
        let others = marks.filter { !$0.point.isOnFront }
        let groups = colours.map { colours in
            colours.members(others, of: \.point.group).map { Self.group(colours.attributes($0.name), $0.members.map(\.svg)) }
        }
        return (groups ?? [Self.group(" class=\"other\"", others.map(\.svg))]).joined()
            + Self.group(" class=\"\(Self.front.colourClass)\"", [line] + marks.filter(\.point.isOnFront).map(\.svg))
            + names(
                of: joined + (namesEveryPoint ? inOrder(placed.filter { !$0.point.isOnFront }) : []), alongLine: joined.map(\.place),
                among: placed.map(\.place), in: frame)
    }

    /// As the caller gave them: the first matter most.
    private func inOrder(_ placed: [(point: Point, place: (x: Double, y: Double))]) -> [(point: Point, place: (x: Double, y: Double))] {
        placed.sorted { points.firstIndex(of: $0.point)! < points.firstIndex(of: $1.point)! }
    }

    private static func group(_ attributes: String, _ content: [String]) -> String { "<g\(attributes)>\n\(content.joined())</g>\n" }

    private func mark(_ point: Point, _ place: (x: Double, y: Double), _ column: Int, _ frame: ChartFrame) -> String {
        let look = point.isOnFront ? Self.front : Self.others
        let mark = SVGMark(
            label: frame.label(point.label, point.x, point.y), row: 0, column: column, isFirst: column == 0, role: "img")
        let (target, radius) = isDense ? (6.0, 2.5) : (11, 4)
        return mark.svg(
            look.shape(at: place, radius: target, kind: "hit") + look.shape(at: place, radius: point.isOnFront ? 5 : radius))
    }

    /// Names of points, those first in the list first, each at the corner of its point where it covers the least of the other points
    /// and of the line; none where it would run into another name.
    private func names(
        of named: [(point: Point, place: (x: Double, y: Double))], alongLine line: [(x: Double, y: Double)],
        among places: [(x: Double, y: Double)], in frame: ChartFrame
    ) -> String {
        let obstacles = places + zip(line, line.dropFirst()).flatMap { Self.places(from: $0, to: $1) }
        var taken: [NameBox] = []
        for (point, place) in named {
            let name = DisplayWidth.truncated(point.label, to: 24)
            let free = NameBox.corners(of: place, name: name).filter { box in
                frame.contains(box.x, box.y) && !taken.contains { $0.overlaps(box) }
            }
            if let best = free.min(by: { $0.covered(obstacles) < $1.covered(obstacles) }) { taken.append(best) }
        }
        return taken.map { box in
            SVG.text(box.name, box.x.lowerBound, box.y.upperBound - 4, "start", " class=\"name\" aria-hidden=\"true\"")
        }.joined()
    }

    /// Ten places along a straight line, its start included.
    private static func places(from start: (x: Double, y: Double), to end: (x: Double, y: Double)) -> [(x: Double, y: Double)] {
        (0..<10).map { step in
            let share = Double(step) / 10
            return (x: start.x + share * (end.x - start.x), y: start.y + share * (end.y - start.y))
        }
    }

    private var values: TextTable {
        let hasFront = points.contains(where: \.isOnFront)
        let rows = points.map { point in
            [point.label, x.format.text(point.x), y.format.text(point.y)] + (hasFront ? [point.isOnFront ? "yes" : ""] : [])
        }
        return TextTable(
            columns: [.left("name"), .right(x.label), .right(y.label)] + (hasFront ? [.left(frontName)] : []), rows: rows)
    }
}

/// The room that a name beside a point takes.
private struct NameBox {
    let name: String
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>

    /// Above right, above left, below left and below right of a place.
    static func corners(of place: (x: Double, y: Double), name: String) -> [NameBox] {
        let width = 7 * Double(DisplayWidth.of(name))
        let right = place.x + 8...place.x + 8 + width
        let left = place.x - 8 - width...place.x - 8
        let above = place.y - 20...place.y - 3
        let below = place.y + 3...place.y + 20
        return [(right, above), (left, above), (left, below), (right, below)].map { NameBox(name: name, x: $0, y: $1) }
    }

    func overlaps(_ other: NameBox) -> Bool { x.overlaps(other.x) && y.overlaps(other.y) }

    /// How many of the places the name would hide.
    func covered(_ places: [(x: Double, y: Double)]) -> Int {
        places.count { (x.lowerBound - 5...x.upperBound + 5).contains($0.x) && (y.lowerBound - 4...y.upperBound + 4).contains($0.y) }
    }
}
