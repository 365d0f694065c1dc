import Evaluation
import HeadProfiling
import Reporting
import SampleAttention

/// How profiles are shown: a summary in the terminal, heatmaps in the browser.
enum ProfileReport {
    static func summary(_ result: ProfileResult) -> String {
        var table = TextTable(
            columns: [.left("text"), .right("length"), .right("SD(\(alphaText(result)))"), .right("least SD"), .right("density")]
                + ["mean mass", "p1 mass", "min mass", "seconds"].map { .right($0) })
        for prompt in result.prompts {
            let degrees = prompt.heads.map { $0.sparsityDegrees[mainAlpha(result)] }
            let count = Double(prompt.heads.count)
            table.append([
                prompt.text, "\(prompt.length)", NumberFormat.percent(degrees.reduce(0, +) / count),
                NumberFormat.percent(degrees.min() ?? .nan),
                NumberFormat.percent(prompt.density),
                NumberFormat.fixed(prompt.heads.reduce(0) { $0 + $1.retained.mean } / count, decimals: 4),
                NumberFormat.fixed(prompt.heads.reduce(0) { $0 + $1.retained.p1 } / count, decimals: 4),
                NumberFormat.fixed(prompt.heads.map(\.retained.minimum).min() ?? .nan, decimals: 4),
                NumberFormat.fixed(prompt.seconds, decimals: 1),
            ])
        }
        return "\(result.model.layers * result.model.queryHeads) heads, retained mass of the pattern of attention '\(result.attention)'; "
            + "SD, mass and density are means over heads, min mass is the least of all\n\n" + table.text()
            + result.prompts.map { extremes($0, result) }.joined()
    }

    /// The heads that need the most keys, and those whose pattern serves some query worst.
    private static func extremes(_ prompt: PromptProfile, _ result: ProfileResult) -> String {
        let alpha = mainAlpha(result)
        let densest = prompt.heads.sorted { $0.sparsityDegrees[alpha] < $1.sparsityDegrees[alpha] }.prefix(5)
        let worst = prompt.heads.sorted { $0.retained.minimum < $1.retained.minimum }.prefix(5)
        func list(_ heads: ArraySlice<HeadProfile>, _ text: (HeadProfile) -> String) -> String {
            heads.map { "layer \($0.layer) head \($0.head) (\(text($0)))" }.joined(separator: ", ")
        }
        return "\n\(prompt.text), \(prompt.length) tokens\n  least sparse: "
            + list(densest) { "SD " + NumberFormat.percent($0.sparsityDegrees[alpha]) } + "\n  served worst: "
            + list(worst) { "\(NumberFormat.fixed($0.retained.minimum, decimals: 3)) at query \($0.retained.worstQuery)" } + "\n"
    }

    static func make(_ result: ProfileResult) -> HTMLReport {
        let heads = result.model.layers * result.model.queryHeads
        var report = HTMLReport(
            title: "Head profile",
            summary:
                "\(heads) heads of a \(result.model.family) model at \(result.prompts.map { "\($0.length)" }.joined(separator: ", ")) tokens"
        )
        report.append(
            .facts([
                "Weights": String(result.model.weightsSHA256.prefix(16)), "Attention": result.attention,
                "Tool": "\(result.provenance.tool.version) (\(result.provenance.tool.commit))",
                "Machine": result.provenance.machine.summary,
                "Texts": result.provenance.texts.map(\.name).joined(separator: ", "), "Seed": "\(result.provenance.seed)",
                "Date": result.provenance.date,
            ]))
        for prompt in result.prompts { append(prompt, of: result, to: &report) }
        return report
    }

    private static func append(_ prompt: PromptProfile, of result: ProfileResult, to report: inout HTMLReport) {
        report.append(.heading("\(prompt.text), \(prompt.length) tokens"))
        report.append(
            .figureRow([
                .heatmap(heatmap("Sparsity degree SD(\(alphaText(result)))", prompt, result) { $0.sparsityDegrees[mainAlpha(result)] }),
                .heatmap(heatmap("Density of the pattern", prompt, result, \.density)),
                .heatmap(heatmap("Mean retained mass", prompt, result, \.retained.mean)),
                .heatmap(heatmap("Least retained mass of any query (CRA)", prompt, result, \.retained.minimum)),
            ]))
        report.append(.paragraph("The selection controls the mean over sampled rows; the minimum shows the query it serves worst."))
        report.append(.lineChart(sortedDegrees(prompt, result)))
    }

    private static func heatmap(
        _ title: String, _ prompt: PromptProfile, _ result: ProfileResult, _ value: (HeadProfile) -> Double
    ) -> Heatmap {
        var values = [[Double]](repeating: Array(repeating: .nan, count: result.model.queryHeads), count: result.model.layers)
        for head in prompt.heads { values[head.layer][head.head] = value(head) }
        var map = Heatmap(
            title: title, rows: .numbered("layer", result.model.layers), columns: .numbered("head", result.model.queryHeads),
            values: values,
            format: .fixed(decimals: 3))
        map.range = 0...1
        return map
    }

    /// Heads from sparsest to densest, one line an α.
    private static func sortedDegrees(_ prompt: PromptProfile, _ result: ProfileResult) -> LineChart {
        let series = result.scale.alphas.enumerated().map { index, alpha in
            let sorted = prompt.heads.map { $0.sparsityDegrees[index] }.sorted(by: >)
            return LineChart.Series("α = \(alpha)", sorted.enumerated().map { .init(Double($0 + 1), $1) })
        }
        return LineChart(
            title: "Sparsity degree of the heads, sparsest first", x: ChartAxis("heads", format: .count),
            y: ChartAxis("SD(α)", format: .percent(decimals: 0)), series: series)
    }

    /// 0.95 where it was asked for, else the first.
    private static func mainAlpha(_ result: ProfileResult) -> Int { result.scale.mainAlpha }
    private static func alphaText(_ result: ProfileResult) -> String { "\(result.scale.alphas[mainAlpha(result)])" }
}
