import Reporting
import Testing

/// A chart of `lines` lines with `points` points each, in groups of eight.
private func chart(lines: Int, points: Int) -> LineChart {
    let series = (0..<lines).map { line in
        LineChart.Series(
            "head \(line)", (0..<points).map { .init(Double(1 << $0), Double($0 + line)) }, group: "layer \(line / 8)")
    }
    return LineChart(title: "c", x: ChartAxis("columns", scale: .log2, format: .count), y: ChartAxis("mass"), series: series)
}

private func html(_ section: HTMLReport.Section) -> String {
    HTMLReport(title: "t", summary: "s", sections: [section]).html()
}

/// The legend's entries: colours and text.
private func legend(_ page: String) -> [(colour: Substring?, text: Substring)] {
    page.matches(of: /<li(?: class="group" style="([^"]+)")?>(?:<svg.*?<\/svg>)?([^<]*)<\/li>/).map { ($0.1, $0.2) }
}

@Suite struct GroupTests {
    @Test func linesHaveTheirGroupsColour() throws {
        let page = html(.lineChart(chart(lines: 24, points: 3)))
        let groups = page.matches(of: /<g class="group" style="([^"]+)">\n((?:<g class="series">[\s\S]*?<\/g>\n<\/g>\n)+)/)
        let entries = legend(page)
        #expect(entries.map(\.text) == ["layer", "0", "1", "2"])
        #expect(groups.map(\.1) == entries.dropFirst().compactMap(\.colour))
        #expect(Set(groups.map(\.1)).count == 3)
        #expect(groups.map { $0.2.count(of: "<path class=\"line\"") } == [8, 8, 8])
    }

    @Test func aLineAndItsPointsTellTheirName() {
        let page = html(.lineChart(chart(lines: 9, points: 3)))
        #expect(page.contains("data-row=\"8\" data-column=\"0\" aria-label=\"head 8: mass 8.00 to 10.0\""))
        #expect(page.contains("data-row=\"8\" data-column=\"2\" aria-label=\"head 8: columns 2, mass 9.00\""))
        #expect(page.count(of: "tabindex=\"0\" data-row") == 1)
        #expect(page.contains("tabindex=\"0\" data-row=\"0\" data-column=\"0\""))
        #expect(page.count(of: "<circle class=\"dot\"") == 27)
    }

    @Test func whatHasNoPlaceIsLeftOut() {
        let gap = LineChart.Series("gap", [.init(1, 1), .init(2, .nan), .init(4, 3)], group: "a")
        let none = LineChart.Series("none", [.init(-1, 1)], group: "a")
        let axis = ChartAxis("x", scale: .log2)
        let page = html(.lineChart(LineChart(title: "c", x: axis, y: ChartAxis("y"), series: [none, gap])))
        #expect(page.count(of: "<path class=\"line\"") == 1 && page.count(of: "class=\"dot\"") == 2)
        #expect(page.contains(/<path class="line" d="M[^ML]+M[^ML]+"/))
        // The first line that is drawn is the tab stop.
        #expect(page.contains("tabindex=\"0\" data-row=\"1\" data-column=\"0\""))
        #expect(html(.lineChart(LineChart(title: "c", x: axis, y: axis, series: [none]))).contains(">no values</text>"))
    }

    /// All points tell their values while they are some thousand at most; of more lines, evenly chosen ones.
    @Test(arguments: [(48, 20, 48 * 20), (64, 20, 64 * 15), (100, 20, 100 * 9), (512, 20, 512), (1024, 20, 0)])
    func manyLinesHaveFewerMarks(lines: Int, points: Int, dots: Int) {
        let page = html(.lineChart(chart(lines: lines, points: points)))
        #expect(page.count(of: "<path class=\"line\"") == lines)
        #expect(page.count(of: "class=\"dot\"") == dots)
        #expect(page.contains("class=\"bundle dense\"") == (lines > 64))
        #expect(page.count(of: "<td class=\"number\">") <= 4096)
        #expect(page.utf8.count < 900_000)
        let last = page.contains("data-column=\"\(points)\" aria-label=\"head 0: columns 524,288")
        #expect(last == (dots > 0))
    }

    /// From some line on every line is a row; below, the values of one line are one row.
    @Test func valuesHaveARowForEachLine() {
        let page = html(.lineChart(chart(lines: 9, points: 3)))
        #expect(page.contains("<th scope=\"col\">mass by columns</th><th scope=\"col\" class=\"number\">1</th>"))
        #expect(page.contains("<tr><td>head 8</td><td class=\"number\">8.00</td>"))
    }

    @Test func aLegendNamesAtMostADozenGroups() {
        let texts = legend(html(.lineChart(chart(lines: 32 * 8, points: 2)))).map(\.text)
        #expect(texts.count == 13 && texts.first == "layer" && texts[1] == "0" && texts.last == "31")
    }

    @Test func namesWithoutAWordInCommonStayWhole() {
        let points = [LineChart.Point(1, 1)]
        let series = [("dense", "a"), ("deep", "b"), ("", "c")].map { LineChart.Series($0.1, points, group: $0.0.isEmpty ? nil : $0.0) }
        let page = html(.lineChart(LineChart(title: "c", x: ChartAxis("x"), y: ChartAxis("y"), series: series)))
        #expect(legend(page).map(\.text) == ["dense", "deep", "other"])
    }

    @Test func pointsHaveTheirGroupsColour() throws {
        let points = (0..<6).map { ScatterPlot.Point(Double($0), 1, label: "p\($0)", group: "layer \($0 % 2)") }
        let page = html(.scatter(ScatterPlot(title: "s", x: ChartAxis("x"), y: ChartAxis("y"), points: points)))
        #expect(legend(page).map(\.text) == ["layer", "0", "1"])
        let groups = page.split(separator: "<g class=\"group\" style=\"").dropFirst()
        #expect(groups.map { $0.matches(of: /aria-label="(p\d)/).map(\.1) } == [["p0", "p2", "p4"], ["p1", "p3", "p5"]])
        #expect(groups.compactMap { $0.split(separator: "\"").first } == legend(page).compactMap(\.colour))
        #expect(!page.contains("Pareto front"))
    }

    @Test func manyPointsAreSmall() {
        func page(_ count: Int) -> String {
            let points = (0..<count).map { ScatterPlot.Point(Double($0), 1, label: "p", group: "g") }
            return html(.scatter(ScatterPlot(title: "s", x: ChartAxis("x"), y: ChartAxis("y"), points: points)))
        }
        #expect(page(100).count(of: "r=\"4\"") == 100 && page(100).count(of: "r=\"11\"") == 100)
        #expect(page(101).count(of: "r=\"2.5\"") == 101 && page(101).count(of: "r=\"6\"") == 101)
    }

    @Test func aFrontStandsBesideGroups() {
        let points = [
            ScatterPlot.Point(1, 1, label: "a", isOnFront: true), .init(2, 2, label: "b", group: "x"), .init(3, 2, label: "c", group: "y"),
        ]
        let page = html(.scatter(ScatterPlot(title: "s", x: ChartAxis("x"), y: ChartAxis("y"), points: points)))
        // The front's entry has a look of its own.
        #expect(legend(page).map(\.text) == ["x", "y"])
        #expect(page.contains("</svg>Pareto front</li>"))
        #expect(page.count(of: "class=\"mark\"") == 3)
    }

    /// As light as one another: a contrast of 4 with a white page and of 7 with a dark one, in every hue.
    @Test func groupColoursReadOnBothPages() {
        for step in 0...40 {
            let light = ColourScale.hue(at: Double(step) / 40, lightness: 0.56)
            let dark = ColourScale.hue(at: Double(step) / 40, lightness: 0.78)
            #expect(1.05 / (light.luminance + 0.05) > 4, "\(step)")
            #expect((dark.luminance + 0.05) / (0.0085 + 0.05) > 7, "\(step)")
        }
    }

    /// The channels (red, green and blue are 0, 1 and 2) from the strongest to the weakest.
    @Test(arguments: [(0, [2, 1, 0]), (0.5, [1, 2, 0]), (1, [0, 1, 2])] as [(Double, [Int])])
    func coloursGoFromBlueThroughGreenToRed(share: Double, order: [Int]) throws {
        for lightness in [0.56, 0.78] {
            let digits = Array(ColourScale.hue(at: share, lightness: lightness).hex.dropFirst())
            let channels = try stride(from: 0, to: 6, by: 2).map { try #require(Int(String(digits[$0..<$0 + 2]), radix: 16)) }
            #expect(channels.indices.sorted { channels[$0] > channels[$1] } == order, "\(channels)")
        }
    }
}
