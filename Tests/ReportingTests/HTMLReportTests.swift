import Reporting
import Testing

extension StringProtocol {
    /// How often `part` occurs, without overlaps.
    func count(of part: String) -> Int { split(separator: part, omittingEmptySubsequences: false).count - 1 }
}

/// A report with `text` in every place that takes a string.
private func report(saying text: String) -> HTMLReport {
    var report = HTMLReport(title: text, summary: text)
    report.append(.heading(text))
    report.append(.paragraph(text))
    report.append(.keyValues([.init(text, text)]))
    report.append(.table(TextTable(columns: [.left(text), .right(text)], rows: [[text, text]]), caption: text))
    report.append(.table(TextTable(columns: [.left(text)])))
    var map = Heatmap(title: text, rows: .init(text, [text]), columns: .init(text, [text]), values: [[1]])
    map.caption = text
    let axis = ChartAxis(text)
    var chart = LineChart(title: text, x: axis, y: axis, series: [.init(text, [.init(1, 2)]), .init(text, [.init(2, 3)])])
    chart.caption = text
    var plot = ScatterPlot(
        title: text, x: axis, y: axis, points: [.init(1, 2, label: text, isOnFront: true), .init(2, 3, label: text)])
    plot.caption = text
    plot.frontName = text
    plot.othersName = text
    report.append(.figureRow([.heatmap(map), .lineChart(chart), .scatter(plot)]))
    chart = LineChart(title: text, x: axis, y: axis, series: [.init(text, [.init(1, 2)], group: text), .init(text, [.init(2, 3)])])
    chart.rules = [.horizontal(at: 1, label: text), .diagonal(label: text)]
    plot = ScatterPlot(title: text, x: axis, y: axis, points: [.init(1, 2, label: text, group: text), .init(2, 3, label: text)])
    plot.rules = [.vertical(at: 1, label: text)]
    report.append(.figureRow([.lineChart(chart), .scatter(plot), .attentionMap(attentionMap(saying: text))]))
    return report
}

private func attentionMap(saying text: String) -> AttentionMap {
    var map = AttentionMap(
        title: text, length: 4, mass: [[1, 0], [0.5, 0.5]],
        importance: .init(byKey: [1, 2], selected: [0, 1], cumulative: [.init(1, 0.6), .init(4, 1)], alpha: 0.5, selectedCount: 1),
        pattern: .init(window: 2, kept: [[1, 0], [0.5, 1]], density: 0.75, retainedMass: 0.9))
    map.caption = text
    return map
}

/// The names of the tags left open or closed out of turn; a well-formed document has none.
private func unbalancedTags(_ html: String) -> [String] {
    var open: [String] = []
    var wrong: [String] = []
    // Before the body and in the script are constants; all else between "<" and ">" is a tag, as text is escaped.
    let body = html.split(separator: "<body>")[1].split(separator: "<script")[0]
    for piece in body.split(separator: "<").dropFirst() {
        let tag = piece.prefix { $0 != ">" }
        let name = tag.prefix { $0 != " " && $0 != "\n" }
        if tag.hasSuffix("/") { continue }
        if name.hasPrefix("/") {
            if open.popLast() != String(name.dropFirst()) { wrong.append(String(name)) }
        } else {
            open.append(String(name))
        }
    }
    return wrong + open
}

@Suite struct HTMLReportTests {
    private let hostile = #"a</script></title></style><img src=x onerror=alert(1)>" onfocus="alert(2)' x='&amp;"#

    @Test func hostileTextStaysText() {
        let plain = report(saying: "plain").html()
        let html = report(saying: hostile).html()
        #expect(html.count(of: "<img") == 0)
        #expect(html.count(of: "</script>") == 1 && html.count(of: "<script") == 1)
        #expect(html.count(of: "</title>") == plain.count(of: "</title>"))
        #expect(html.count(of: "</style>") == 1)
        // No text adds an attribute or a tag.
        #expect(html.count(of: "\"") == plain.count(of: "\""))
        #expect(html.count(of: "<") == plain.count(of: "<"))
        #expect(html.count(of: "'") == plain.count(of: "'"))
        // It is there in each place (a name drawn beside its point is cut short), and an ampersand is escaped once.
        #expect(html.count(of: "&lt;img src=x onerror=alert(1)&gt;") == plain.count(of: "plain") - 1)
        #expect(html.contains("&#39;&amp;amp;"))
    }

    @Test func controlAndDirectionCharactersAreShown() {
        let html = HTMLReport(title: "a\u{0}b\u{1B}c\u{202E}d", summary: "").html()
        #expect(html.contains("<h1>a\u{FFFD}b\u{FFFD}c\u{FFFD}d</h1>"))
    }

    @Test func tagsAreBalanced() {
        #expect(unbalancedTags(report(saying: hostile).html()) == [])
        #expect(unbalancedTags(HTMLReport(title: "", summary: "").html()) == [])
    }

    @Test func loadsNothing() {
        let html = report(saying: "plain").html()
        for loader in ["http:", "https:", "src=", "href", "url(", "@import", "<link", "fetch(", "XMLHttpRequest"] {
            #expect(!html.contains(loader), "\(loader)")
        }
        #expect(html.contains("default-src 'none'"))
    }

    @Test func servesPhonesAndBothThemes() {
        let html = report(saying: "plain").html()
        #expect(html.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"))
        #expect(html.contains("<meta name=\"color-scheme\" content=\"light dark\">"))
        #expect(html.contains("@media (prefers-color-scheme: dark)"))
        #expect(html.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
    }

    @Test func sameSectionsSameBytes() {
        let one = report(saying: "plain").html()
        #expect(one == report(saying: "plain").html())
        #expect(one != report(saying: "other").html())
    }

    @Test func tablesHaveHeadersAndAlignment() {
        let table = TextTable(columns: [.left("method"), .right("ms")], rows: [["dense", "12.3"], ["tuned", "4.5"]])
        let html = HTMLReport(title: "t", summary: "s", sections: [.table(table, caption: "Times")]).html()
        #expect(html.contains("<caption>Times</caption>"))
        #expect(html.contains("<tr><th scope=\"col\">method</th><th scope=\"col\" class=\"number\">ms</th></tr>"))
        #expect(html.contains("<tr><td>tuned</td><td class=\"number\">4.5</td></tr>"))
    }

    @Test func sectionsKeepTheirOrder() throws {
        let sections: [HTMLReport.Section] = [.heading("first"), .facts(["b": "1", "a": "2"]), .paragraph("last")]
        let html = HTMLReport(title: "t", summary: "s", sections: sections).html()
        let places = try ["<h2>first</h2>", "<dt>b</dt><dd>1</dd>", "<dt>a</dt><dd>2</dd>", ">last</p>"].map { part in
            html.distance(from: html.startIndex, to: try #require(html.firstRange(of: part)).lowerBound)
        }
        #expect(places == places.sorted())
    }
}
