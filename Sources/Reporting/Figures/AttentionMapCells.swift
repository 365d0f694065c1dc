/// The two drawings of an attention map's cells: all of them, and those that the pattern keeps.
struct AttentionMapCells {
    private static let levels = 16
    private static let greys = 4
    private static let veils = 4

    private let map: AttentionMap
    private let frame: ChartFrame
    private let scale: MassScale?

    init(_ map: AttentionMap) {
        self.map = map
        var queries = map.positions("query")
        queries.isReversed = true
        frame = ChartFrame(x: map.positions("key"), y: queries, points: [], layout: AttentionMap.layout(height: 338, yTicks: 5))
        scale = MassScale(map.mass)
    }

    var attentionPanel: String {
        let window = map.pattern.window.map { "Window of \(NumberFormat.count($0)) token\($0 == 1 ? "" : "s")" } ?? "No window"
        let range = scale.map { [$0.range.lowerBound, $0.range.upperBound].map { NumberFormat.significant($0, digits: 1) } }
        return AttentionMap.panel(
            "Attention", note: map.pattern.blockLines?.text ?? window,
            drawing: drawing("attention", coloured { _, _ in true }, over: windowBoundary) { $0.attention },
            legend: [
                AttentionMap.legendItem(
                    ColourBar.svg(width: 72, height: 12, steps: Self.levels), width: 72,
                    range.map { "mass \($0[0]) to \($0[1]), log" } ?? "no mass"),
                map.pattern.window == nil ? "" : AttentionMap.legendItem(Self.boundary("M0 6H26"), "window"),
            ])
    }

    var maskPanel: String {
        let density = NumberFormat.percent(map.pattern.density)
        let greys = (0..<Self.greys).map { "<path class=\"grey\($0)\" stroke-width=\"12\" d=\"M\(6.5 * Double($0)) 6h6.5\"/>" }
        return AttentionMap.panel(
            "Final mask", note: "\(density) of the pairs hold \(NumberFormat.percent(map.pattern.retainedMass)) of the mass",
            drawing: drawing("final mask", coloured { map.pattern.kept[$0][$1] > 0 } + veiled + dropped, over: "") { $0.mask },
            legend: [
                AttentionMap.legendItem(ColourBar.svg(width: 26, height: 12, steps: Self.levels / 2), "kept"),
                AttentionMap.legendItem(greys.joined(), "dropped"),
            ])
    }

    /// The cells in the frame, with what lies over them, and a mark for each band of queries, which tells `label` of it.
    private func drawing(_ name: String, _ cells: String, over: String, label: (AttentionMap.Band) -> String) -> String {
        let scale = HTMLText.coordinate((frame.right - frame.left) / Double(max(1, map.mass.count)))
        let place = "translate(\(HTMLText.coordinate(frame.left)) \(HTMLText.coordinate(frame.top))) scale(\(scale))"
        let content = "<g class=\"cells\" transform=\"\(place)\">\n\(cells)</g>\n\(over)\(marks(label))"
        return frame.svg(title: "\(map.title), \(name)", content: cells.isEmpty ? "" : content)
    }

    private func marks(_ label: (AttentionMap.Band) -> String) -> String {
        let side = (frame.bottom - frame.top) / Double(map.mass.count)
        return map.bands.enumerated().map { row, band in
            let mark = SVGMark(label: label(band), row: row, column: 0, isFirst: row == 0, role: "img")
            return mark.svg(
                SVG.band(
                    x: frame.left, y: frame.top + side * Double(band.rows.lowerBound), width: frame.right - frame.left,
                    height: side * Double(band.rows.count)))
        }.joined()
    }

    /// The cells that `isShown` in the colours of their masses.
    private func coloured(where isShown: (Int, Int) -> Bool) -> String {
        levels { isShown($0, $1) ? scale?.level(map.mass[$0][$1], of: Self.levels) : nil }.svg(isOpaque: true) { level in
            let colour = ColourScale.colour(at: Double(level) / Double(Self.levels - 1))
            return " stroke=\"\(colour.hex)\""
        }
    }

    /// The cells of which nothing is kept, in greys that still tell their masses.
    private var dropped: String {
        levels { map.pattern.kept[$0][$1] > 0 ? nil : scale?.level(map.mass[$0][$1], of: Self.greys) }
            .svg(isOpaque: true) { " class=\"grey\($0)\"" }
    }

    /// Grey over the cells that are kept in part, the less is kept the more of it. By the root of the share, so that a single
    /// column in a cell of dozens is seen.
    private var veiled: String {
        levels { row, column in
            let share = map.pattern.kept[row][column]
            return share > 0 && share < 1 ? Int(share.squareRoot() * Double(Self.veils)) : nil
        }.svg(isOpaque: false) { level in
            let opacity = 0.8 * (1 - Double(level) / Double(Self.veils))
            return " class=\"grey0\" stroke-opacity=\"\(HTMLText.coordinate(opacity))\""
        }
    }

    /// Levels for the cells on and below the diagonal that have a mass.
    private func levels(_ level: (_ row: Int, _ column: Int) -> Int?) -> CellLevels {
        let places = map.mass.indices
        return CellLevels(
            rows: places.map { row in
                places.map { column in
                    column <= row && scale != nil && map.mass[row][column].isFinite ? level(row, column) : nil
                }
            })
    }

    /// Where the window of each query begins.
    private var windowBoundary: String {
        guard let window = map.pattern.window, window < map.length,
            let start = frame.place(0, Double(window)), let end = frame.place(Double(map.length - window), Double(map.length))
        else { return "" }
        return Self.boundary(SVG.path([start, end]))
    }

    /// A line that is seen on every colour, its data as given.
    private static func boundary(_ data: String) -> String {
        "<path class=\"boundary casing\" d=\"\(data)\"/><path class=\"boundary\" d=\"\(data)\"/>\n"
    }
}
