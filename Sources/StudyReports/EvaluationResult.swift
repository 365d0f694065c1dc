import Evaluation
import LanguageModels
import Reporting
import RunProvenance
import SampleStatistics

/// What `evaluate` prints.
package struct EvaluationResult: Encodable {
    package struct Score: Encodable {
        let task: String
        let length, asked: Int
        let score, density, prefillSeconds, attentionSeconds, selectionSeconds: Double

        package init(_ records: [ComparisonRecord]) {
            task = records[0].task
            length = records[0].length
            score = records.reduce(0) { $0 + $1.score }
            asked = records.reduce(0) { $0 + $1.asked }
            density = records.reduce(0) { $0 + $1.density } / Double(records.count)
            prefillSeconds = Quantiles.median(records.map(\.prefillSeconds))
            attentionSeconds = Quantiles.median(records.map(\.attentionSeconds))
            selectionSeconds = Quantiles.median(records.map(\.selectionSeconds))
        }
    }

    package struct Loss: Encodable {
        let file: String
        let length, windows: Int
        let nll, density, prefillSeconds: Double

        package init(file: String, length: Int, windows: Int, nll: Double, density: Double, prefillSeconds: Double) {
            (self.file, self.length, self.windows) = (file, length, windows)
            (self.nll, self.density, self.prefillSeconds) = (nll, density, prefillSeconds)
        }
    }

    let model: ModelIdentity
    let provenance: Provenance
    /// What decoding and scores find of prompts.
    let cache: LanguageModel.CacheSettings
    /// Tokens that prompts are prefilled by; nil prefills them whole.
    let chunk: Int?
    let attention: String
    let tasks: [Score]
    let perplexity: [Loss]

    package init(
        model: ModelIdentity, provenance: Provenance, cache: LanguageModel.CacheSettings, chunk: Int?, attention: String, tasks: [Score],
        perplexity: [Loss]
    ) {
        (self.cache, self.chunk) = (cache, chunk)
        (self.model, self.provenance, self.attention, self.tasks, self.perplexity) = (model, provenance, attention, tasks, perplexity)
    }

    /// By task, then length.
    package static func scores(_ records: [ComparisonRecord]) -> [Score] {
        let groups = Dictionary(grouping: records) { $0.task }
        return groups.keys.sorted().flatMap { task in
            let lengths = Dictionary(grouping: groups[task]!) { $0.length }
            return lengths.keys.sorted().map { Score(lengths[$0]!) }
        }
    }

    package var tables: String {
        var text = "attention \(attention)\n"
        if !tasks.isEmpty {
            var table = TextTable(columns: [.left("task")] + ["length", "score", "asked", "density", "prefill s"].map { .right($0) })
            for row in tasks {
                table.append([
                    row.task, "\(row.length)", NumberFormat.score(row.score), "\(row.asked)", NumberFormat.percent(row.density),
                    NumberFormat.fixed(row.prefillSeconds, decimals: 3),
                ])
            }
            text += "\n" + table.text()
        }
        if !perplexity.isEmpty {
            var table = TextTable(columns: [.left("text")] + ["length", "nats a token", "density", "prefill s"].map { .right($0) })
            for row in perplexity {
                table.append([
                    row.file, "\(row.length)", NumberFormat.fixed(row.nll, decimals: 4), NumberFormat.percent(row.density),
                    NumberFormat.fixed(row.prefillSeconds, decimals: 3),
                ])
            }
            text += "\n" + table.text()
        }
        return text
    }
}
