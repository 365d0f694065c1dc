import Reporting
import Testing

private func html(x: ChartAxis = ChartAxis("x"), y: ChartAxis = ChartAxis("y"), _ points: [(Double, Double)], _ rules: [ChartRule])
    -> String
{
    var plot = ScatterPlot(title: "s", x: x, y: y, points: points.map { .init($0.0, $0.1, label: "p") })
    plot.rules = rules
    return HTMLReport(title: "t", summary: "s", sections: [.scatter(plot)]).html()
}

/// The ends of the rules that are lines, as x1, y1, x2, y2.
private func lines(_ page: String) throws -> [[Double]] {
    try page.matches(of: /<line class="rule" x1="(\S+)" y1="(\S+)" x2="(\S+)" y2="([^"]+)"/).map { match in
        try [match.1, match.2, match.3, match.4].map { try #require(Double($0)) }
    }
}

/// The places on the diagonal.
private func diagonal(_ page: String) throws -> [[Double]] {
    let data = page.firstMatch(of: /<path class="rule" d="([^"]*)"/)?.1 ?? ""
    return try data.split { "ML".contains($0) }.map { try $0.split(separator: " ").map { try #require(Double($0)) } }
}

/// The centres of the points, from left to right.
private func points(_ page: String) throws -> [[Double]] {
    try page.matches(of: /class="shape point" cx="(\S+)" cy="(\S+)" r="4"/).map { match in
        try [match.1, match.2].map { try #require(Double($0)) }
    }
}

@Suite struct ChartRuleTests {
    @Test func thresholdsGoThroughTheirValues() throws {
        let page = html([(1, 10), (2, 20), (3, 30)], [.horizontal(at: 20, label: "half"), .vertical(at: 3, label: "last")])
        let (rules, points) = (try lines(page), try points(page))
        try #require(rules.count == 2 && points.count == 3)
        #expect(rules[0][1] == points[1][1] && rules[0][3] == points[1][1])
        #expect(rules[1][0] == points[2][0] && rules[1][2] == points[2][0])
        #expect(page.contains(">half</text>") && page.contains(">last</text>"))
    }

    @Test func axesReachTheThresholds() throws {
        #expect(!html([(1, 0.2), (2, 0.4)], []).contains(">0.9</text>"))
        let page = html([(1, 0.2), (2, 0.4)], [.horizontal(at: 0.95, label: "α")])
        #expect(page.contains(">0.8</text>"))
        #expect(try lines(page).count == 1)
    }

    /// A label is the last to be drawn, so that no curve goes through its letters.
    @Test func labelsStandAboveEverything() throws {
        for count in [1, 50, 200] {
            let page = html((0..<count).map { (Double($0), 1) }, [.vertical(at: 3, label: "rule"), .diagonal(label: "same")])
            let last = try #require(page.split(separator: "class=\"mark\"").last)
            #expect(last.contains(">rule</text>") && last.contains(">same</text>"))
        }
    }

    /// Few points stand before the rules, which would vanish behind many.
    @Test func manyPointsDoNotHideRules() {
        for (count, isBehind) in [(100, true), (101, false)] {
            let page = html((0..<count).map { (Double($0), 1) }, [.vertical(at: 3, label: "rule")])
            #expect(page.split(separator: "class=\"mark\"")[0].contains("class=\"rule\"") == isBehind)
        }
    }

    @Test func whatIsOutOfSightIsNotDrawn() {
        let axis = ChartAxis("x", range: 0...1)
        let logarithm = ChartAxis("x", scale: .log2)
        #expect(
            !html(x: axis, y: axis, [(0, 1)], [.horizontal(at: 2, label: "rule"), .vertical(at: .nan, label: "rule")]).contains("rule\""))
        #expect(!html(x: logarithm, y: logarithm, [(1, 1)], [.vertical(at: 0, label: "none")]).contains(">none<"))
        let far = html(x: axis, y: ChartAxis("y", range: 5...6), [(0, 5)], [.diagonal(label: "equal")])
        #expect(!far.contains("class=\"rule\"") && !far.contains(">equal<"))
    }

    /// Points whose values are the same lie on it, whatever the axes.
    @Test(arguments: [(ChartAxis.Scale.linear, ChartAxis.Scale.linear), (.log2, .log10), (.log2, .linear), (.linear, .log10)])
    func theDiagonalIsWhereValuesAreTheSame(x: ChartAxis.Scale, y: ChartAxis.Scale) throws {
        let page = html(
            x: ChartAxis("x", scale: x), y: ChartAxis("y", scale: y), [(1, 1), (4, 4), (9, 9), (2, 8)], [.diagonal(label: "equal")])
        let (line, points) = (try diagonal(page), try points(page))
        #expect(page.contains(">equal</text>"))
        try #require(points.count == 4 && line.count == (x == y ? 2 : 49))
        func distance(_ point: [Double]) -> Double {
            zip(line, line.dropFirst()).map { from, to in
                let share = min(1, max(0, (point[0] - from[0]) / (to[0] - from[0])))
                return abs(point[1] - from[1] - share * (to[1] - from[1])) + max(0, from[0] - point[0]) + max(0, point[0] - to[0])
            }.min() ?? .infinity
        }
        // Sorted from left to right: 1, 2, 4, 9.
        for index in [0, 2, 3] { #expect(distance(points[index]) < 1, "\(index)") }
        #expect(distance(points[1]) > 10)
    }

    @Test func withTheDiagonalBothAxesShowTheSame() throws {
        let line = try diagonal(html([(0.2, 0.7), (0.3, 0.9)], [.diagonal(label: "equal")]))
        let frame = try #require(html([(0.2, 0.7)], []).firstMatch(of: /<line class="grid base" x1="(\S+)" y1="(\S+)"/))
        #expect(line.first?[1] == Double(frame.2))
        #expect(line.last?[1] == 30)
    }

    /// A label never leaves the frame: below a line near the top, left of one near the right end.
    @Test func labelsStayInside() throws {
        let axis = ChartAxis("x", range: 0...1)
        func label(_ rule: ChartRule) throws -> (x: Double, y: Double, anchor: Substring) {
            let page = html(x: axis, y: axis, [(0, 0)], [rule])
            let text = try #require(page.firstMatch(of: /<text class="name" x="(\S+)" y="(\S+)" text-anchor="(\w+)">threshold/))
            return (try #require(Double(text.1)), try #require(Double(text.2)), text.3)
        }
        let (low, high) = (try label(.horizontal(at: 0.5, label: "threshold")), try label(.horizontal(at: 0.99, label: "threshold")))
        let heights = try [0.5, 0.99].map { try lines(html(x: axis, y: axis, [(0, 0)], [.horizontal(at: $0, label: "t")]))[0][1] }
        #expect(low.y < heights[0] && high.y > heights[1])
        #expect(try label(.vertical(at: 0.5, label: "threshold")).anchor == "start")
        #expect(try label(.vertical(at: 0.95, label: "threshold")).anchor == "end")
    }
}
