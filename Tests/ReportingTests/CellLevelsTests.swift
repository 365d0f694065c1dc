import AttentionCore
import Reporting
import Testing

/// The cells that paths paint, in the order they are painted: each path's level and its cells.
private func painted(_ svg: String) throws -> [(level: Int, cells: [[Int]])] {
    try svg.split(separator: "\n").map { path in
        let level = try #require(path.firstMatch(of: /l="(\d+)"/)?.1)
        let strokes = try path.matches(of: /M(\d+) (\d+)([hv])(\d+)/).map { stroke in
            let (x, y, count) = (try #require(Int(stroke.1)), try #require(Int(stroke.2)), try #require(Int(stroke.4)))
            return (0..<count).map { stroke.3 == "h" ? [y, x + $0] : [y + $0, x] }
        }
        return (try #require(Int(level)), strokes.flatMap(\.self))
    }
}

private func randomLevels(_ generator: inout SeededGenerator) -> [[Int?]] {
    let (rows, columns) = (Int.random(in: 1...9, using: &generator), Int.random(in: 1...9, using: &generator))
    return (0..<rows).map { _ in
        (0..<columns).map { _ in Bool.random(using: &generator) ? Int.random(in: 0...3, using: &generator) : nil }
    }
}

@Suite struct CellLevelsTests {
    private func svg(_ levels: [[Int?]], isOpaque: Bool) -> String {
        CellLevels(rows: levels).svg(isOpaque: isOpaque) { " l=\"\($0)\"" }
    }

    /// Painted one over another, the paths show each cell at its level and nothing else.
    @Test func opaquePathsShowTheLevels() throws {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<300 {
            let levels = randomLevels(&generator)
            var shown = levels.map { $0.map { _ in Int?.none } }
            for path in try painted(svg(levels, isOpaque: true)) {
                for cell in path.cells { shown[cell[0]][cell[1]] = path.level }
            }
            #expect(shown == levels)
        }
    }

    /// What shines through is painted once.
    @Test func translucentPathsDoNotOverlap() throws {
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<300 {
            let levels = randomLevels(&generator)
            var shown = levels.map { $0.map { _ in [Int]() } }
            for path in try painted(svg(levels, isOpaque: false)) {
                for cell in path.cells { shown[cell[0]][cell[1]].append(path.level) }
            }
            #expect(shown == levels.map { $0.map { level in level.map { [$0] } ?? [] } })
        }
    }

    @Test func neighboursAreOneStroke() {
        #expect(svg([[1, 1, 1, nil, 1]], isOpaque: false).contains("d=\"M0 0h3M4 0h1\""))
        #expect(svg([[1], [1], [1]], isOpaque: false).contains("translate(.5 0)\" d=\"M0 0v3\""))
        #expect(svg([[0, 3, 0]], isOpaque: true).contains("l=\"0\" transform=\"translate(0 .5)\" d=\"M0 0h3\""))
        #expect(svg([[0, 3, 0]], isOpaque: false).contains("d=\"M0 0h1M2 0h1\""))
        #expect(svg([], isOpaque: true) == "")
    }
}
