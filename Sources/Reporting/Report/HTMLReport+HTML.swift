extension HTMLReport {
    /// The whole file. The same report gives the same text. Complexity: O(size of the sections).
    package func html() -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="\(ReportAssets.contentSecurityPolicy)">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(HTMLText.escaped(title))</title>
        <style>
        \(ReportAssets.style)
        </style>
        </head>
        <body>
        <header>
        <h1>\(HTMLText.escaped(title))</h1>
        <p>\(HTMLText.escaped(summary))</p>
        </header>
        <main>
        \(sections.map(\.html).joined(separator: "\n"))
        </main>
        <script nonce="\(ReportAssets.scriptNonce)">
        \(ReportAssets.script)
        </script>
        </body>
        </html>

        """
    }
}

extension HTMLReport.Section {
    fileprivate var html: String {
        switch self {
        case .heading(let text): "<h2>\(HTMLText.escaped(text))</h2>"
        case .paragraph(let text): "<p class=\"prose\">\(HTMLText.escaped(text))</p>"
        case .keyValues(let facts):
            "<dl>\n"
                + facts.map { "<div><dt>\(HTMLText.escaped($0.name))</dt><dd>\(HTMLText.escaped($0.value))</dd></div>\n" }.joined()
                + "</dl>"
        case .table(let table, let caption): table.html(caption: caption)
        case .figureRow(let figures):
            "<div class=\"row\(Self.standClose(figures) ? " close" : "")\">\n\(figures.map(\.html).joined(separator: "\n"))\n</div>"
        }
    }

    /// Many small heat maps are there to be compared at a glance.
    private static func standClose(_ figures: [HTMLReport.Figure]) -> Bool {
        figures.count > 3
            && figures.allSatisfy { figure in
                if case .heatmap(let map) = figure { map.columns.values.count <= 4 } else { false }
            }
    }
}

extension HTMLReport.Figure {
    fileprivate var html: String {
        switch self {
        case .heatmap(let heatmap): heatmap.figure.html
        case .lineChart(let chart): chart.figure.html
        case .scatter(let plot): plot.figure.html
        case .attentionMap(let map): map.figure.html
        }
    }
}

/// The parts every figure has, each already HTML but for the title and caption.
struct FigureParts {
    let title: String
    let caption: String?
    /// A list of what the colours and shapes mean; empty when there is one thing only.
    let legend: String
    let drawing: String
    /// The values as a table, behind a fold; nil where the drawing itself is one.
    let values: TextTable?

    var html: String {
        let caption = caption.map { "<span>\(HTMLText.escaped($0))</span>" } ?? ""
        let fold = values.map { "<details><summary>Values</summary>\n\($0.html(caption: nil))\n</details>\n" } ?? ""
        return """
            <figure>
            <figcaption><strong>\(HTMLText.escaped(title))</strong>\(caption)</figcaption>
            \(legend)<div class="scroll">\(drawing)</div>
            \(fold)</figure>
            """
    }
}

extension TextTable {
    /// A table whose columns have headers, in a box that scrolls by itself when the screen is narrower.
    func html(caption: String?) -> String {
        let name = HTMLText.escaped(caption ?? columns.map(\.title).joined(separator: ", "))
        let header = columns.map { "<th scope=\"col\"\(Self.attribute($0))>\(HTMLText.escaped($0.title))</th>" }.joined()
        let body = rows.map { row in
            let cells = zip(columns, row).map { "<td\(Self.attribute($0))>\(HTMLText.escaped($1))</td>" }
            return "<tr>\(cells.joined())</tr>\n"
        }
        return """
            <div class="scroll" role="region" tabindex="0" aria-label="\(name)"><table>
            \(caption.map { "<caption>\(HTMLText.escaped($0))</caption>\n" } ?? "")<thead><tr>\(header)</tr></thead>
            <tbody>
            \(body.joined())</tbody>
            </table></div>
            """
    }

    private static func attribute(_ column: Column) -> String { column.alignment == .right ? " class=\"number\"" : "" }
}
