/// A report as one HTML file: light and dark, for screens of every width, keyboards and screen readers.
///
/// It loads nothing, from the network or elsewhere, and the same sections give the same bytes. Every string is shown as
/// the text it is.
///
///     var report = HTMLReport(title: "Head profile", summary: "Three heads of four are sparse.")
///     report.append(.facts(["model": "haystack-13m", "seed": "7"]))
///     report.append(.heatmap(retained))
///     let text = report.html()
package struct HTMLReport: Hashable, Sendable {
    /// A figure, alone or in a row.
    package enum Figure: Hashable, Sendable {
        case heatmap(Heatmap)
        case lineChart(LineChart)
        case scatter(ScatterPlot)
        case attentionMap(AttentionMap)
    }

    /// A name and what it stands for.
    package struct Fact: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A part of the report, from top to bottom.
    package enum Section: Hashable, Sendable {
        case heading(String)
        case paragraph(String)
        /// Names and values, such as the provenance of the results.
        case keyValues([Fact])
        case table(TextTable, caption: String?)
        /// Figures side by side; they wrap on narrow screens.
        case figureRow([Figure])

        /// Names and values, in the order given.
        package static func facts(_ pairs: KeyValuePairs<String, String>) -> Section {
            .keyValues(pairs.map { Fact($0.key, $0.value) })
        }
        /// A table without a caption.
        package static func table(_ table: TextTable) -> Section { .table(table, caption: nil) }
        /// A heat map by itself.
        package static func heatmap(_ heatmap: Heatmap) -> Section { .figureRow([.heatmap(heatmap)]) }
        /// A line chart by itself.
        package static func lineChart(_ chart: LineChart) -> Section { .figureRow([.lineChart(chart)]) }
        /// A scatter plot by itself.
        package static func scatter(_ plot: ScatterPlot) -> Section { .figureRow([.scatter(plot)]) }
        /// The drawings of an attention map, beside one another.
        package static func attentionMap(_ map: AttentionMap) -> Section { .figureRow([.attentionMap(map)]) }
    }

    package let title: String
    /// One line below the title: the result in a sentence.
    package let summary: String
    package private(set) var sections: [Section]

    package init(title: String, summary: String, sections: [Section] = []) {
        self.title = title
        self.summary = summary
        self.sections = sections
    }

    /// Adds a section at the end.
    package mutating func append(_ section: Section) { sections.append(section) }
}
