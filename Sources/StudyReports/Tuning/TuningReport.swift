import AttentionCore
import Autotuning
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention

/// A study as a page.
package struct TuningReport {
    private let result: TuningResult
    private var config: TunedConfig { result.config }
    private var study: TuningStudy.Result { result.study }
    private var shortest: Int { config.buckets.first?.length ?? 0 }

    package init(_ result: TuningResult) { self.result = result }

    package func html() -> String { report.html() }

    private var report: HTMLReport {
        var report = HTMLReport(
            title: "Tuned config",
            summary: "\(NumberFormat.count(study.trials.count)) trials on \(config.model.layers * config.model.queryHeads) heads at "
                + config.buckets.map { NumberFormat.count($0.length) }.joined(separator: ", ") + " tokens")
        report.append(facts)
        report.append(.heading("On text it was not tuned on"))
        report.append(
            .paragraph(
                result.holds
                    ? (result.settings.budgetMilliseconds == nil ? "The floor holds." : "The budget is kept.")
                    : "Missed: \(result.misses.joined(separator: "; "))."))
        for remark in result.remarks { report.append(.paragraph(remark)) }
        report.append(.table(TuningSummary.heldOut(result.heldOut)))
        report.append(.heading("Heads that matter"))
        report.append(
            .paragraph(
                "What one head alone costs the model at \(NumberFormat.count(shortest)) tokens when it keeps the narrowest window that was "
                    + "judged, predicted by a pass backward and, of the heads that cost most, corrected by probes: loss (at least KL) "
                    + "over all positions, and KL at answers that stand far back. The latter finds the retrieval heads."
            )
        )
        report.append(
            .figureRow([
                .heatmap(damages("Loss, nats a token") { $0.loss }),
                .heatmap(damages("KL at answers, nats a token") { $0.answerDivergence }),
            ]))
        report.append(
            .table(predictions, caption: "Options that were probed, those first that cost most, on the prompt they were probed on"))
        for bucket in config.buckets { append(bucket, to: &report) }
        report.append(.heading("Search"))
        report.append(.figureRow([.lineChart(fronts), .lineChart(convergence)]))
        report.append(.table(importance, caption: "Share of the differences within a head that each parameter explains by itself"))
        report.append(.table(steps, caption: "Configs run on whole prompts: the damage allotted, and what it came to"))
        return report
    }

    private var facts: HTMLReport.Section {
        let floor = result.settings.floor
        let words =
            result.settings.budgetMilliseconds.map { "least loss within \(NumberFormat.fixed($0, decimals: 0)) ms" }
            ?? "loss at most \(NumberFormat.percent(floor.lossIncrease, decimals: 2)) above dense, "
            + "\(NumberFormat.percent(floor.answersKept)) of its answers"
            + (floor.agreement.map { ", \(NumberFormat.percent($0)) of its first choices" } ?? "")
            + (floor.tailDivergence.map { ", 99th percentile of KL at most \(NumberFormat.significant($0)) nats" } ?? "")
            + (floor.mass.map { ", mean retained mass of \(NumberFormat.fixed($0, decimals: 3))" } ?? "")
        return .facts([
            "Floor": words, "Layers": LayerCoverage.text(result.study.trials.map(\.layer), of: config.model.layers),
            "Weights": String(config.model.weightsSHA256.prefix(16)),
            "Tool": "\(config.provenance.tool.version) (\(config.provenance.tool.commit))", "Machine": config.provenance.machineSummary,
            "Texts": config.provenance.texts.map(\.name).joined(separator: ", "), "Seed": "\(config.provenance.seed)",
            "Latency model": "\(NumberFormat.percent(result.latency.meanAbsolutePercentageError)) off on held-out layers",
            "Date": config.provenance.date,
            "Time": "\(NumberFormat.seconds(result.seconds)), threads busy \(NumberFormat.percent(result.threadsBusy, decimals: 0))",
        ])
    }

    // MARK: Heads

    private func map(_ title: String, _ format: ValueFormat, _ value: (_ layer: Int, _ head: Int) -> Double) -> Heatmap {
        Heatmap(
            title: title, rows: .numbered("layer", config.model.layers), columns: .numbered("head", config.model.queryHeads),
            values: (0..<config.model.layers).map { layer in (0..<config.model.queryHeads).map { value(layer, $0) } }, format: format)
    }

    private func damages(_ title: String, _ value: (TuningStudy.OptionDamage) -> Double) -> Heatmap {
        map(title, .significant(2)) { layer, head in
            study.options.first { $0.layer == layer && $0.head == head && $0.trial.parameters.pattern == .window }.map(value) ?? .nan
        }
    }

    /// What was followed through the model, beside what was predicted of it, those first that cost most.
    private var predictions: TextTable {
        let titles = ["tokens", "density", "KL predicted", "measured", "at answers predicted", "measured"]
        var table = TextTable(columns: [.left("layer.head"), .left("pattern")] + titles.map { .right($0) })
        let probed = study.options.compactMap { option in option.probed.map { (option: option, probed: $0) } }
        for (option, probed) in probed.sorted(by: { $0.probed.divergence > $1.probed.divergence }) {
            table.append([
                "\(option.layer).\(option.head)", option.trial.parameters.pattern.rawValue, NumberFormat.count(option.trial.length),
                NumberFormat.percent(option.trial.measured.density), NumberFormat.significant(probed.predictedDivergence),
                NumberFormat.significant(probed.divergence), NumberFormat.significant(probed.predictedAnswerDivergence),
                NumberFormat.significant(probed.answerDivergence),
            ])
        }
        return table
    }

    private func append(_ bucket: TunedConfig.Bucket, to report: inout HTMLReport) {
        func map(_ title: String, _ format: ValueFormat, _ value: (TunedConfig.Head) -> Double) -> HTMLReport.Figure {
            .heatmap(self.map(title, format) { value(bucket.layers[$0][$1]) })
        }
        report.append(.heading("\(NumberFormat.count(bucket.length)) tokens"))
        report.append(
            .figureRow([
                map("Density", .fixed(decimals: 3)) { $0.measured.density },
                map("Window, tokens; – is none", .count) { head in
                    head.parameters.pattern.hasWindow
                        ? Double(head.parameters.window.positions(promptLength: bucket.length)) : .nan
                },
                map("α of sampled heads; – is none", .fixed(decimals: 3)) { head in
                    head.parameters.pattern.samplesRows ? head.parameters.alpha.value : .nan
                },
                map("Rows sampled; – is none", .percent(decimals: 1)) { head in
                    head.parameters.pattern.samplesRows ? head.parameters.sampleRatio.value : .nan
                },
                map("Key blocks for each 64 rows; – is none", .count) { head in
                    head.parameters.pattern == .keyBlocks ? Double(head.parameters.keyBlockCount) : .nan
                },
                map("Predicted milliseconds", .significant(2)) { $0.measured.milliseconds ?? .nan },
                map("Mean retained mass", .fixed(decimals: 3)) { $0.measured.meanMass },
                transferred("Mean retained mass on other text", bucket, .fixed(decimals: 3)) { $0.heldOut.meanMass },
                transferred("Output error, other text over own; – is dense", bucket, .fixed(decimals: 2)) {
                    $0.tuned.density < 1 ? $0.errorRatio : .nan
                },
            ]))
    }

    private func transferred(
        _ title: String, _ bucket: TunedConfig.Bucket, _ format: ValueFormat, _ value: (HeadTransfer) -> Double
    ) -> HTMLReport.Figure {
        .heatmap(
            map(title, format) { layer, head in
                result.heads.first { $0.length == bucket.length && $0.layer == layer && $0.head == head }.map(value) ?? .nan
            })
    }

    // MARK: Search

    /// Each head's front at the shortest length.
    private var fronts: LineChart {
        let heads = Dictionary(grouping: study.trials.filter { $0.length == shortest }) { [$0.layer, $0.head] }
        let series = heads.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, trials in
            let front = ParetoFront(trials.enumerated().map { .init(cost: $1.cost, loss: $1.error, trial: $0) })
            return LineChart.Series(
                "layer \(key[0]), head \(key[1])", front.members.map { .init($0.cost, max($0.loss, 1e-7)) }, group: "layer \(key[0])")
        }
        return LineChart(
            title: "Pareto fronts of the heads at \(NumberFormat.count(shortest)) tokens",
            x: ChartAxis("predicted time, ms", scale: .log10, format: .significant(2)),
            y: ChartAxis("output error", scale: .log10, format: .significant(2)), series: series)
    }

    /// How much of what the fronts dominate in the end they dominated after each round.
    private var convergence: LineChart {
        let trials = study.trials.filter { $0.length == shortest }
        let heads = Dictionary(grouping: trials) { [$0.layer, $0.head] }
        let rounds = (trials.map(\.number).max() ?? 0) + 1
        let shares = (0..<rounds).map { round in
            heads.values.reduce(0) { $0 + Self.volume($1.filter { $0.number <= round }, of: $1) } / Double(max(1, heads.count))
        }
        return LineChart(
            title: "Convergence of the fronts", x: ChartAxis("trials a head", format: .count),
            y: ChartAxis("hypervolume, of the last", format: .percent(decimals: 0)),
            series: [LineChart.Series("mean of heads", shares.enumerated().map { .init(Double($0 + 1), $1) })])
    }

    private static func volume(_ trials: [FrozenTrial], of all: [FrozenTrial]) -> Double {
        let reference = (all.map(\.cost).max() ?? 1, all.map(\.error).max() ?? 1)
        func volume(_ trials: [FrozenTrial]) -> Double {
            ParetoFront(trials.enumerated().map { .init(cost: $1.cost, loss: $1.error, trial: $0) })
                .hypervolume(cost: reference.0, loss: reference.1)
        }
        let whole = volume(all)
        return whole > 0 ? volume(trials) / whole : 1
    }

    private var importance: TextTable {
        var table = TextTable(columns: [.left("parameter"), .right("of time"), .right("of output error")])
        for row in ParameterImportance.all(study.trials.filter { $0.length == shortest }) {
            table.append([row.name, NumberFormat.percent(row.ofTime), NumberFormat.percent(row.ofError)])
        }
        return table
    }

    private var steps: TextTable {
        var table = TextTable(
            columns: ["length", "allotted on text", "at answers", "of the floor lost", "predicted ms", "density", "loss growth", "answers"]
                .map {
                    .right($0)
                })
        for step in study.steps {
            let summary = QualitySummary(step.checks.map(\.quality))
            table.append([
                NumberFormat.count(step.length), NumberFormat.significant(step.allotment.text),
                NumberFormat.significant(step.allotment.answers),
                NumberFormat.percent(step.share),
                NumberFormat.fixed(step.milliseconds, decimals: 0),
                NumberFormat.percent(step.checks.reduce(0) { $0 + $1.density } / Double(max(1, step.checks.count))),
                NumberFormat.percent(summary.lossIncrease, decimals: 2), NumberFormat.percent(summary.answersKept),
            ])
        }
        return table
    }
}
