import Autotuning
import Reporting
import SampleAttention

/// How a study is shown.
enum TuningReport {
    static func summary(_ result: TuningResult, directory: OutputDirectory) -> String {
        var buckets = TextTable(columns: ["length", "density", "mean mass", "p1 mass", "min mass", "dense heads"].map { .right($0) })
        for bucket in result.config.buckets {
            let heads = bucket.layers.flatMap(\.self)
            func mean(_ value: (TunedConfig.Measurement) -> Double) -> Double {
                heads.reduce(0) { $0 + value($1.measured) } / Double(heads.count)
            }
            buckets.append([
                "\(bucket.length)", NumberFormat.percent(mean(\.density)), NumberFormat.fixed(mean(\.meanMass), decimals: 4),
                NumberFormat.fixed(mean(\.p1Mass), decimals: 4), NumberFormat.fixed(heads.map(\.measured.minMass).min() ?? 1, decimals: 4),
                "\(heads.count { $0.parameters.pattern == .dense })",
            ])
        }
        return "\(result.trials) trials in \(NumberFormat.seconds(result.seconds)); on the tuning text, means over heads:\n\n"
            + buckets.text()
            + "\nOn text it was not tuned on:\n\n" + heldOutTable(result).text()
            + "\nWrote \(["config.json", "journal.jsonl", "report.html"].map(directory.file).joined(separator: ", "))\n"
    }

    private static func heldOutTable(_ result: TuningResult) -> TextTable {
        var table = TextTable(
            columns: [.left("text")] + ["length", "density", "nats dense", "nats tuned", "same first choice"].map { .right($0) })
        for row in result.heldOut {
            table.append([
                row.text, "\(row.length)", NumberFormat.percent(row.density), NumberFormat.fixed(row.nllDense, decimals: 4),
                NumberFormat.fixed(row.nllTuned, decimals: 4), NumberFormat.percent(row.agreement),
            ])
        }
        return table
    }

    static func make(_ result: TuningResult, trials: [FrozenTrial]) -> HTMLReport {
        let config = result.config
        var report = HTMLReport(
            title: "Tuned config",
            summary: "\(result.trials) trials on \(config.model.layers * config.model.queryHeads) heads at "
                + config.buckets.map { "\($0.length)" }.joined(separator: ", ") + " tokens")
        report.append(
            .facts([
                "Floors": "mean mass \(result.floor.mean), 1st percentile \(result.floor.p1)",
                "Weights": String(config.model.weightsSHA256.prefix(16)),
                "Tool": "\(config.provenance.tool.version) (\(config.provenance.tool.commit))",
                "Machine": config.provenance.machine.summary,
                "Texts": config.provenance.texts.map(\.name).joined(separator: ", "), "Seed": "\(config.provenance.seed)",
                "Date": config.provenance.date, "Time": NumberFormat.seconds(result.seconds),
            ]))
        report.append(.heading("On text it was not tuned on"))
        report.append(.table(heldOutTable(result)))
        for bucket in config.buckets {
            report.append(.heading("\(bucket.length) tokens"))
            report.append(
                .figureRow([
                    .heatmap(heatmap("Density", bucket, config) { $0.measured.density }),
                    .heatmap(heatmap("Window, share of the prompt", bucket, config) { windowShare($0.parameters, bucket.length) }),
                    .heatmap(heatmap("Mean retained mass", bucket, config) { $0.measured.meanMass }),
                    .heatmap(heatmap("Least retained mass of any query", bucket, config) { $0.measured.minMass }),
                ]))
            report.append(.lineChart(costs(trials.filter { $0.length == bucket.length }, bucket: bucket)))
        }
        return report
    }

    private static func windowShare(_ parameters: SampleAttentionParameters, _ length: Int) -> Double {
        parameters.pattern == .dense ? 1 : Double(parameters.window.positions(promptLength: length)) / Double(length)
    }

    private static func heatmap(
        _ title: String, _ bucket: TunedConfig.Bucket, _ config: TunedConfig, _ value: (TunedConfig.Head) -> Double
    ) -> Heatmap {
        var map = Heatmap(
            title: title, rows: .numbered("layer", config.model.layers), columns: .numbered("head", config.model.queryHeads),
            values: bucket.layers.map { $0.map(value) }, format: .fixed(decimals: 3))
        map.range = 0...1
        return map
    }

    /// What the heads cost with their own parameters and with the one standard setting; x is a rank, not a head.
    private static func costs(_ trials: [FrozenTrial], bucket: TunedConfig.Bucket) -> LineChart {
        func series(_ name: String, _ costs: [Double]) -> LineChart.Series {
            LineChart.Series(name, costs.sorted().enumerated().map { .init(Double($0 + 1), $1) })
        }
        let chosen = bucket.layers.flatMap { $0.map(\.cost) }
        return LineChart(
            title: "Kept and sampled pairs of each head over causal pairs, each line sorted by cost", x: ChartAxis("rank", format: .count),
            y: ChartAxis("cost", scale: .log10, format: .percent(decimals: 0)),
            series: [
                series("tuned", chosen), series("one setting for all heads, window-aware", trials.filter { $0.number == 0 }.map(\.cost)),
            ])
    }
}
