import AttentionKernels
import Evaluation
import Foundation
import LanguageModels
import Reporting
import RunProvenance
import SampleAttention

/// A comparison as a page.
package struct ComparisonReport {
    private let result: ComparisonResult

    package init(_ result: ComparisonResult) { self.result = result }

    package func html() -> String { report.html() }

    private var report: HTMLReport {
        var report = HTMLReport(title: "Attentions side by side", summary: summary)
        report.append(facts)
        if let longest = result.lengths.last, result.summaries.contains(where: { $0.accuracy != nil }) {
            report.append(.heading("Accuracy against time"))
            report.append(.paragraph(Self.accuracyWords))
            report.append(.figureRow(result.lengths.map { .scatter(scatter($0)) }))
            report.append(.table(summaryTable(longest), caption: "\(NumberFormat.count(longest)) tokens, the most accurate first"))
        }
        for task in needleTasks {
            report.append(.heading("Needles: \(task)"))
            report.append(.paragraph("Share of right answers by the depth of the fact that is asked for and the prompt's length."))
            report.append(.figureRow(result.methods.map { .heatmap(heatmap(task, method: $0)) }))
        }
        if result.lengths.count > 1 {
            report.append(.heading("Time to first token"))
            report.append(.figureRow([.lineChart(chart("Time to first token", .seconds) { $0.prefillSeconds })]))
            report.append(.figureRow([.lineChart(chart("Pairs kept", .percent(decimals: 0)) { $0.density })]))
        }
        for task in result.rows.map(\.task).withoutRepeats {
            report.append(.heading("All of \(task)"))
            report.append(.table(result.textTable(result.rows.filter { $0.task == task })))
        }
        return report
    }

    private static let accuracyWords =
        "The mean over the kinds of tasks that are scored, against the prefill's seconds. No attention is above and left of the line."

    private var summary: String {
        let tasks = result.rows.map(\.task).withoutRepeats
        return "\(result.methods.count) attentions on \(tasks.joined(separator: ", ")) at "
            + result.lengths.map(NumberFormat.count).joined(separator: ", ") + " tokens"
    }

    private var facts: HTMLReport.Section {
        .facts([
            "Weights": String(result.model.weightsSHA256.prefix(16)),
            "Tool": "\(result.provenance.tool.version) (\(result.provenance.tool.commit))", "Machine": result.provenance.machineSummary,
            "Cache": result.cache.format?.rawValue ?? "",
            "Texts": result.provenance.texts.map(\.name).joined(separator: ", "), "Seed": "\(result.provenance.seed)",
            "Date": result.provenance.date, "Time": NumberFormat.seconds(result.seconds),
        ])
    }

    // MARK: Accuracy and time

    private func scatter(_ length: Int) -> ScatterPlot {
        let points = result.summaries.filter { $0.length == length }.compactMap { summary in
            summary.accuracy.map {
                ScatterPlot.Point(summary.prefillSeconds, $0, label: summary.method, isOnFront: summary.isOnFront)
            }
        }
        var plot = ScatterPlot(
            title: "\(NumberFormat.count(length)) tokens", x: ChartAxis("time to first token", format: .seconds),
            y: ChartAxis("accuracy", format: .percent(decimals: 0)), points: points)
        plot.othersName = "no better in either"
        plot.namesEveryPoint = true
        return plot
    }

    private func summaryTable(_ length: Int) -> TextTable {
        let all = result.summaries.filter { $0.length == length }
        let dense = all.first { $0.method == "dense" }
        let titles = ["accuracy", "time to first token", "of dense's time"]
        var table = TextTable(columns: [.left("attention")] + titles.map { .right($0) } + [.left("Pareto front")])
        for summary in all.sorted(by: { ($0.accuracy ?? -1, $1.prefillSeconds) > ($1.accuracy ?? -1, $0.prefillSeconds) }) {
            table.append([
                summary.method, summary.accuracy.map { NumberFormat.percent($0) } ?? NumberFormat.missing,
                NumberFormat.seconds(summary.prefillSeconds),
                dense.map { NumberFormat.percent(summary.prefillSeconds / $0.prefillSeconds, decimals: 0) } ?? NumberFormat.missing,
                summary.isOnFront ? "yes" : "",
            ])
        }
        return table
    }

    private func chart(_ title: String, _ format: ValueFormat, _ value: (ComparisonRow) -> Double) -> LineChart {
        let series = result.methods.map { method in
            LineChart.Series(
                method,
                result.lengths.map { length in
                    let own = result.rows.filter { $0.method == method && $0.length == length }.map(value)
                    return .init(Double(length), own.isEmpty ? .nan : own.reduce(0, +) / Double(own.count))
                })
        }
        return LineChart(
            title: title, x: ChartAxis("tokens", scale: .log2, format: .count), y: ChartAxis(title.lowercased(), format: format),
            series: series)
    }

    // MARK: Needles

    private var needleTasks: [String] { result.cells.map(\.task).withoutRepeats }

    private func heatmap(_ task: String, method: String) -> Heatmap {
        let cells = result.cells.filter { $0.task == task }
        let depths = Set(cells.map(\.depth)).sorted()
        let lengths = Set(cells.map(\.length)).sorted()
        var map = Heatmap(
            title: method, rows: .init("depth", depths.map { NumberFormat.percent($0, decimals: 0) }),
            columns: .init("tokens", lengths.map(NumberFormat.count)),
            values: depths.map { depth in
                lengths.map { length in
                    cells.first { $0.method == method && $0.depth == depth && $0.length == length }.map { $0.score / Double($0.asked) }
                        ?? .nan
                }
            }, format: .percent(decimals: 0))
        map.range = 0...1
        return map
    }
}
