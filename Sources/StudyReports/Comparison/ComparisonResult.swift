import AttentionCore
import Autotuning
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import Reporting
import RunProvenance
import SampleAttention

/// What `compare` prints and writes.
package struct ComparisonResult: Encodable {
    /// Of comparison.json; grows when a field changes its meaning or goes.
    let schemaVersion = 2
    let model: ModelIdentity
    let provenance: Provenance
    /// What decoding and scores find of prompts.
    let cache: LanguageModel.CacheSettings
    /// Reading, checking and packing the model, once for all attentions.
    let loadSeconds: Double
    /// Of this run, what an earlier one had measured not included.
    let seconds: Double
    let rows: [ComparisonRow]
    let cells: [ComparisonCell]
    let summaries: [Summary]

    private enum CodingKeys: String, CodingKey {
        case schemaVersion, model, provenance, cache, loadSeconds, seconds, rows, cells, summaries
    }

    /// One attention at one length, over all kinds of tasks.
    struct Summary: Encodable {
        let method: String
        let length: Int
        /// Mean over the kinds of tasks that are scored; nil when none is.
        let accuracy: Double?
        let prefillSeconds: Double
        /// True when no other attention is more accurate and at least as fast, or as accurate and faster.
        let isOnFront: Bool
    }

    package init(
        model: ModelIdentity, provenance: Provenance, cache: LanguageModel.CacheSettings, loadSeconds: Double, seconds: Double,
        records: [ComparisonRecord]
    ) {
        self.model = model
        self.cache = cache
        self.loadSeconds = loadSeconds
        self.provenance = provenance
        self.seconds = seconds
        rows = ComparisonRow.rows(records)
        cells = ComparisonCell.cells(records)
        summaries = Self.summaries(rows)
    }

    var methods: [String] { rows.map(\.method).withoutRepeats }
    var lengths: [Int] { Set(rows.map(\.length)).sorted() }

    private static func summaries(_ rows: [ComparisonRow]) -> [Summary] {
        Set(rows.map(\.length)).sorted().flatMap { length in
            let all = rows.filter { $0.length == length }
            let points = all.map(\.method).withoutRepeats.map { method in
                let own = all.filter { $0.method == method }
                let scores = own.filter { $0.asked > 0 }.map { $0.score / Double($0.asked) }
                return (
                    method: method, accuracy: scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count),
                    seconds: own.reduce(0) { $0 + $1.prefillSeconds } / Double(own.count)
                )
            }
            let front = ParetoFront(
                points.enumerated().map { ParetoFront.Member(cost: $1.seconds, loss: 1 - ($1.accuracy ?? .nan), trial: $0) })
            let members = Set(front.members.map(\.trial))
            return points.enumerated().map {
                Summary(
                    method: $1.method, length: length, accuracy: $1.accuracy, prefillSeconds: $1.seconds, isOnFront: members.contains($0))
            }
        }
    }

    /// One row a task, length and attention.
    package var table: String { textTable(rows).text() }

    func textTable(_ rows: [ComparisonRow]) -> TextTable {
        let titles = [
            "score", "of dense", "loss", "above dense", "TTFT s", "speed-up", "attention s", "selection", "density", "mean mass",
            "min mass",
        ]
        var table = TextTable(columns: [.left("task"), .right("length"), .left("attention")] + titles.map { .right($0) })
        for row in rows {
            func optional(_ value: Double?, _ text: (Double) -> String) -> String { value.map(text) ?? NumberFormat.missing }
            table.append([
                row.task, NumberFormat.count(row.length), row.method,
                row.asked > 0 ? NumberFormat.score(row.score, of: row.asked) : NumberFormat.missing,
                row.asked > 0 ? optional(row.scoreOverDense) { NumberFormat.percent($0) } : NumberFormat.missing,
                optional(row.nll) { NumberFormat.fixed($0, decimals: 3) }, optional(row.lossAboveDense) { NumberFormat.percent($0) },
                NumberFormat.fixed(row.prefillSeconds, decimals: 3), optional(row.speedUp) { NumberFormat.fixed($0, decimals: 2) + "×" },
                NumberFormat.fixed(row.attentionSeconds, decimals: 3), NumberFormat.percent(row.selectionShare, decimals: 0),
                NumberFormat.percent(row.density), optional(row.meanMass) { NumberFormat.fixed($0, decimals: 4) },
                optional(row.minMass) { NumberFormat.fixed($0, decimals: 4) },
            ])
        }
        return table
    }

    package func write(to directory: OutputDirectory) throws(InputError) {
        try directory.write(JSONResult.encode(self), to: "comparison.json")
        try directory.write(csv, to: "comparison.csv")
        try directory.write(ComparisonReport(self).html(), to: "report.html")
    }

    /// The rows as comma-separated values with a header (RFC 4180); empty where there is no value.
    var csv: String {
        let header = [
            "task", "length", "method", "score", "asked", "scoreOverDense", "nll", "lossAboveDense", "prefillSeconds",
            "prefillSecondsLeast",
            "prefillSecondsMost", "speedUp", "attentionSeconds", "selectionSeconds", "selectionShare", "density", "meanMass", "minMass",
        ]
        let lines = rows.map { row -> [String] in
            func optional(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
            return [
                Self.quoted(row.task), "\(row.length)", row.method, "\(row.score)", "\(row.asked)", optional(row.scoreOverDense),
                optional(row.nll),
                optional(row.lossAboveDense), "\(row.prefillSeconds)", "\(row.prefillSecondsRange[0])", "\(row.prefillSecondsRange[1])",
                optional(row.speedUp), "\(row.attentionSeconds)", "\(row.selectionSeconds)", "\(row.selectionShare)", "\(row.density)",
                optional(row.meanMass), optional(row.minMass),
            ]
        }
        return ([header] + lines).map { $0.joined(separator: ",") + "\r\n" }.joined()
    }

    /// A task's name may come from a file.
    private static func quoted(_ text: String) -> String {
        text.contains { ",\"\r\n".contains($0) } ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }
}
