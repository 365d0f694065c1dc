/// A table of strings with aligned columns, for terminals, pipes and reports.
///
///     var table = TextTable(columns: [.left("task"), .right("ms")])
///     table.append(["needle", "12.3"])
///     print(table.text())
package struct TextTable: Hashable, Sendable {
    /// The side of the column that its cells keep to.
    package enum Alignment: Hashable, Sendable { case left, right }

    /// A column's header and alignment.
    package struct Column: Hashable, Sendable {
        package let title: String
        package let alignment: Alignment

        package init(_ title: String, alignment: Alignment) {
            self.title = title
            self.alignment = alignment
        }

        /// A column of words.
        package static func left(_ title: String) -> Column { Column(title, alignment: .left) }
        /// A column of numbers.
        package static func right(_ title: String) -> Column { Column(title, alignment: .right) }
    }

    /// Whether the text carries terminal escapes.
    package enum Style: Hashable, Sendable {
        /// Text only: for pipes and files.
        case plain
        /// A bold header and a dim rule: for terminals, when asked.
        case coloured
    }

    package let columns: [Column]
    package private(set) var rows: [[String]]

    /// A table with `rows`, each as long as `columns`.
    package init(columns: [Column], rows: [[String]] = []) {
        precondition(!columns.isEmpty, "a table has columns")
        precondition(rows.allSatisfy { $0.count == columns.count }, "a row has one cell for each column")
        self.columns = columns
        self.rows = rows
    }

    /// Adds a row, as long as `columns`.
    package mutating func append(_ row: [String]) {
        precondition(row.count == columns.count, "a row has one cell for each column")
        rows.append(row)
    }

    /// The header, a rule and the rows, each line ended by a newline and none by spaces.
    ///
    /// Widths are counted in terminal columns (`DisplayWidth`); control characters become spaces.
    /// Complexity: O(characters).
    package func text(style: Style = .plain) -> String {
        let header = columns.map { DisplayWidth.singleLine($0.title) }
        let body = rows.map { $0.map(DisplayWidth.singleLine) }
        let widths = columns.indices.map { column in
            ([header] + body).map { DisplayWidth.of($0[column]) }.max() ?? 0
        }
        let rule = widths.map { String(repeating: "─", count: $0) }.joined(separator: "  ")
        let lines = [styled(line(header, widths), "1", style), styled(rule, "2", style)] + body.map { line($0, widths) }
        return lines.map { $0 + "\n" }.joined()
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = cells.enumerated().map { column, cell in
            let padding = String(repeating: " ", count: widths[column] - DisplayWidth.of(cell))
            return columns[column].alignment == .left ? cell + padding : padding + cell
        }
        let line = padded.joined(separator: "  ")
        return String(line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)])
    }

    private func styled(_ line: String, _ code: String, _ style: Style) -> String {
        style == .plain ? line : "\u{1B}[\(code)m\(line)\u{1B}[0m"
    }
}
