/// The cells of a map in a few levels, for drawing as one path a level. Units: cells.
package struct CellLevels {
    /// `[row][column]`; nil is not drawn.
    package let rows: [[Int?]]

    package init(rows: [[Int?]]) { self.rows = rows }

    /// The levels that occur, ascending.
    var present: [Int] { Set(rows.joined().compactMap(\.self)).sorted() }

    /// A path for each level, its look as `attributes` says, from the lowest level up.
    ///
    /// Neighbours make one stroke, along rows or columns, whichever takes less text. With opaque colours (`isOpaque`) a stroke
    /// also runs on below cells of higher levels, which are painted later. Complexity: O(cells · levels).
    package func svg(isOpaque: Bool, attributes: (Int) -> String) -> String {
        present.map { level in
            let across = Self.path(of: level, along: rows, isOpaque) { "M\($1.lowerBound) \($0)h\($1.count)" }
            let down = Self.path(of: level, along: columns, isOpaque) { "M\($0) \($1.lowerBound)v\($1.count)" }
            let (path, middle) = across.utf8.count <= down.utf8.count ? (across, "0 .5") : (down, ".5 0")
            return "<path\(attributes(level)) transform=\"translate(\(middle))\" d=\"\(path)\"/>\n"
        }.joined()
    }

    private var columns: [[Int?]] {
        (rows.first ?? []).indices.map { column in rows.map { $0[column] } }
    }

    private static func path(
        of level: Int, along lines: [[Int?]], _ isOpaque: Bool, stroke: (_ line: Int, _ run: Range<Int>) -> String
    ) -> String {
        lines.enumerated().map { line, cells in
            runs(of: level, in: cells, isOpaque).map { stroke(line, $0) }.joined()
        }.joined()
    }

    /// The stretches of a line to paint for a level.
    private static func runs(of level: Int, in cells: [Int?], _ isOpaque: Bool) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var isOpen = false
        for (place, cell) in cells.enumerated() {
            if cell == level {
                let start = isOpen ? runs.removeLast().lowerBound : place
                runs.append(start..<place + 1)
                isOpen = true
            } else {
                isOpen = isOpen && isOpaque && (cell ?? -1) > level
            }
        }
        return runs
    }
}
