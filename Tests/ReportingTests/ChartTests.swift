import AttentionCore
import Reporting
import Testing

private func html(_ chart: LineChart) -> String {
    HTMLReport(title: "t", summary: "s", sections: [.lineChart(chart)]).html()
}

private func html(x: ChartAxis = ChartAxis("x"), y: ChartAxis = ChartAxis("y"), _ points: [(Double, Double)]) -> String {
    html(LineChart(title: "c", x: x, y: y, series: [.init("line", points.map { .init($0.0, $0.1) })]))
}

/// The line's path in the chart, without the legend's.
private func path(in html: String) -> String {
    let after = html.firstRange(of: "<path class=\"line\" d=\"").map { html[$0.upperBound...] } ?? ""
    return String(after.prefix { $0 != "\"" })
}

@Suite struct TickTests {
    @Test(
        arguments: [
            (0.0...1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0...0.3, 5, [0, 0.1, 0.2, 0.3]), (0...10, 6, [0, 2, 4, 6, 8, 10]),
            (0.93...0.99, 5, [0.94, 0.96, 0.98]), (-3...3, 7, [-3, -2, -1, 0, 1, 2, 3]), (0...7e9, 4, [0, 2e9, 4e9, 6e9]),
            (1e-5...3.2e-5, 3, [1e-5, 2e-5, 3e-5]), (12...13, 2, [12, 13]),
        ] as [(ClosedRange<Double>, Int, [Double])])
    func linearTicksAreNice(range: ClosedRange<Double>, most: Int, expected: [Double]) {
        #expect(AxisTicks.linear(in: range, atMost: most) == expected)
    }

    @Test(
        arguments: [
            (1024.0...65536, 2.0, 6, [1024.0, 4096, 16384, 65536]), (1024...8192, 2, 6, [1024, 2048, 4096, 8192]),
            (3...250, 10, 6, [5, 10, 20, 50, 100, 200]), (1e-3...1e9, 10, 6, [1e-3, 1, 1e3, 1e6, 1e9]),
            (0.5...9, 10, 6, [0.5, 1, 2, 5]),
        ] as [(ClosedRange<Double>, Double, Int, [Double])])
    func logarithmicTicksArePowers(range: ClosedRange<Double>, base: Double, most: Int, expected: [Double]) {
        #expect(AxisTicks.logarithmic(in: range, base: base, atMost: most) == expected)
    }

    /// Whatever the range: at most so many, inside, ascending, evenly spaced.
    @Test func linearTicksKeepTheirPromises() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            let low = Double.random(in: -1000...1000, using: &generator)
            let range = low...low + Double.random(in: 1e-4...5000, using: &generator)
            let most = Int.random(in: 2...9, using: &generator)
            let ticks = AxisTicks.linear(in: range, atMost: most)
            let step = AxisTicks.step(for: range, atMost: most)
            #expect((1...most).contains(ticks.count) || step > range.upperBound - range.lowerBound, "\(range) \(most)")
            #expect(ticks.allSatisfy { $0 >= range.lowerBound - 1e-8 * step && $0 <= range.upperBound + 1e-8 * step }, "\(range)")
            #expect(zip(ticks.dropFirst(), ticks).allSatisfy { abs($0 - $1 - step) < 1e-6 * step }, "\(range) \(most)")
        }
    }
}

@Suite struct ChartTests {
    @Test func pointsTellTheirValues() {
        let html = html(
            x: ChartAxis("length", scale: .log2, format: .count), y: ChartAxis("time", format: .milliseconds),
            [(1024, 12.34), (4096, 50)])
        #expect(html.contains("aria-label=\"line: length 4,096, time 50.0 ms\""))
        #expect(html.contains(">time, ms</text>"))
        #expect(html.contains(">2,048</text>"))
        #expect(html.count(of: "role=\"img\" tabindex=\"0\"") == 1)
        #expect(html.contains("<td class=\"number\">4,096</td><td class=\"number\">50.0 ms</td>"))
    }

    @Test func aMissingValueIsAGap() {
        #expect(path(in: html([(1, 1), (2, 2), (3, 3)])).count(of: "M") == 1)
        let broken = html([(1, 1), (2, .nan), (3, 3), (4, 4)])
        #expect(path(in: broken).count(of: "M") == 2)
        #expect(path(in: broken).count(of: "L") == 1)
        #expect(broken.count(of: "class=\"mark\"") == 3)
    }

    @Test func logarithmsLeaveOutWhatHasNone() {
        let html = html(x: ChartAxis("x", scale: .log10), [(-1, 1), (0, 2), (10, 3), (100, 4)])
        #expect(html.count(of: "class=\"mark\"") == 2)
    }

    @Test func aGivenRangeCutsTheLine() {
        let html = html(x: ChartAxis("x", range: 0...10), [(1, 1), (11, 2), (5, 3)])
        #expect(html.count(of: "class=\"mark\"") == 2)
    }

    @Test func logarithmicPlacesAreEven() throws {
        let html = html(x: ChartAxis("x", scale: .log2), y: ChartAxis("y"), [(1, 0), (2, 0), (4, 0)])
        let places = try path(in: html).dropFirst().split(separator: "L").map { try #require(Double($0.split(separator: " ")[0])) }
        try #require(places.count == 3)
        #expect(abs((places[1] - places[0]) - (places[2] - places[1])) < 0.02)
    }

    @Test(
        arguments: [
            [], [(Double.nan, 1.0)], [(1, 1)], [(0, 0), (0, 0)], [(1e308, -1e308), (0, 0)], [(.leastNonzeroMagnitude, 1), (0, 1)],
            [(1, 1e99), (2, -1e99)], [(1e-101, 1e-101), (2e-101, 1)], [(1, 1), (1 + 1e-15, 1 + 1e-15)],
        ] as [[(Double, Double)]])
    func extremesAreDrawn(points: [(Double, Double)]) {
        for scale in [ChartAxis.Scale.linear, .log2, .log10] {
            let page = html(x: ChartAxis("x", scale: scale), y: ChartAxis("y", scale: scale), points)
            let drawing = page.firstRange(of: "<svg class=\"chart\"").map { page[$0.lowerBound...].prefix(20_000) } ?? ""
            #expect(drawing.contains("class=\"grid base\""))
            for word in ["\"nan", "\"inf", "\"-inf", " nan", "–\""] { #expect(!drawing.contains(word), "\(word) \(scale)") }
        }
    }

    @Test func anEmptyChartSaysSo() {
        #expect(html([]).contains(">no values</text>"))
        #expect(!html([(1, 1)]).contains(">no values</text>"))
    }

    @Test func oneSeriesNeedsNoLegend() {
        let axis = ChartAxis("x")
        let points = [LineChart.Point(0, 0), .init(1, 1)]
        #expect(!html([(0, 0), (1, 1)]).contains("<ul class=\"legend\">"))
        let two = html(LineChart(title: "c", x: axis, y: axis, series: [.init("dense", points), .init("tuned", points)]))
        #expect(two.contains("<ul class=\"legend\">"))
        #expect(two.contains("</svg>tuned</li>"))
    }

    @Test func theFrontIsJoinedFromLeftToRight() throws {
        let plot = ScatterPlot(
            title: "s", x: ChartAxis("latency", format: .milliseconds), y: ChartAxis("error"),
            points: [
                .init(3, 1, label: "c", isOnFront: true), .init(1, 3, label: "a", isOnFront: true), .init(2, 3, label: "other"),
                .init(2, 2, label: "b", isOnFront: true), .init(.nan, 1, label: "failed"),
            ])
        let html = HTMLReport(title: "t", summary: "s", sections: [.scatter(plot)]).html()
        #expect(html.count(of: "class=\"mark\"") == 4)
        #expect(html.contains("aria-label=\"b: latency 2.00 ms, error 2.00\""))
        let drawing = try #require(html.split(separator: "<svg class=\"chart\"").last)
        let places = try path(in: String(drawing)).split { "ML".contains($0) }.map { try #require(Double($0.split(separator: " ")[0])) }
        #expect(places.count == 3 && places == places.sorted())
        #expect(html.contains("<td>failed</td><td class=\"number\">–</td>"))
    }
}
