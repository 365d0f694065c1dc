import AttentionCore
import Autotuning
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// What `tune` prints.
struct TuningResult: Encodable {
    let config: TunedConfig
    let settings: TuningSettings
    let study: TuningStudy.Result
    let latency: LatencyFile
    /// The study's own latency model: of a continued study, the one it was begun with.
    let costs: LatencyModel
    let heldOut: [HeldOutCheck.Row]
    let heads: [HeadTransfer]
    let seconds: Double

    /// The floors that held-out text misses, in words; with a budget, the lengths that are predicted to miss it.
    var misses: [String] {
        guard let budget = settings.budgetMilliseconds else {
            return HeldOutCheck.misses(heldOut, floor: settings.floor) + HeldOutCheck.misses(heads, floor: settings.floor)
        }
        return config.buckets.compactMap { bucket in
            let predicted = predictedMilliseconds(bucket)
            guard predicted > budget * (1 + 1e-9) else { return nil }
            return "\(bucket.length) tokens: the least found is \(NumberFormat.significant(predicted)) ms, "
                + "budget \(NumberFormat.significant(budget)) ms"
        }
    }
    /// True when the config keeps the floor on text it was not tuned on, or the budget.
    var holds: Bool { misses.isEmpty }

    /// Predicted milliseconds of full attention in all heads.
    func denseMilliseconds(_ length: Int) -> Double {
        let c = config.model
        let shape = AttentionShape(
            queryHeads: c.queryHeads, keyValueHeads: c.keyValueHeads, queryCount: length, keyCount: length, headDimension: c.headDimension)
        return 1000 * Double(c.layers * c.queryHeads) * costs.seconds(HeadWork(nil, pattern: .dense, shape: shape))
    }

    /// Of attention in all heads.
    func predictedMilliseconds(_ bucket: TunedConfig.Bucket) -> Double {
        bucket.layers.flatMap(\.self).reduce(0) { $0 + ($1.measured.milliseconds ?? 0) }
    }

    /// What a user should know beside the tables, in sentences.
    var remarks: [String] {
        var remarks: [String] = []
        if study.isCutShort { remarks.append("Time ran out before everything was measured: a longer --minutes, or --resume, finds more.") }
        let dense = config.buckets.filter { $0.layers.allSatisfy { $0.allSatisfy { $0.parameters.pattern == .dense } } }
        if !dense.isEmpty {
            let lengths = dense.map { NumberFormat.count($0.length) }.joined(separator: ", ")
            remarks.append("Nothing faster than dense attention was found to keep the floor at \(lengths) tokens.")
        }
        return remarks
    }

    private enum CodingKeys: String, CodingKey {
        case config, settings, trials, probes, steps, latencyModel, heldOut, heads, holds, isCutShort, seconds
    }

    private struct LatencySummary: Encodable { let meanAbsolutePercentageError: Double }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(config, forKey: .config)
        try container.encode(settings, forKey: .settings)
        try container.encode(study.trials.count, forKey: .trials)
        try container.encode(study.probes.count, forKey: .probes)
        try container.encode(study.steps, forKey: .steps)
        try container.encode(
            LatencySummary(meanAbsolutePercentageError: latency.meanAbsolutePercentageError), forKey: .latencyModel)
        try container.encode(heldOut, forKey: .heldOut)
        try container.encode(heads, forKey: .heads)
        try container.encode(holds, forKey: .holds)
        try container.encode(study.isCutShort, forKey: .isCutShort)
        try container.encode(seconds, forKey: .seconds)
    }
}

/// A study in a terminal.
struct TuningSummary {
    let result: TuningResult

    init(_ result: TuningResult) { self.result = result }

    var text: String {
        let study = result.study
        let words =
            "\(NumberFormat.count(study.trials.count)) trials, \(study.probes.count) probed options, \(study.steps.count) configs "
            + "on whole prompts in \(NumberFormat.seconds(result.seconds))"
        return result.remarks.map { $0 + "\n" }.joined() + words + "; on the tuning text:\n\n" + buckets.text()
            + "\nOn text it was not tuned on"
            + (result.holds ? ":" : ": MISSED: \(result.misses.joined(separator: "; "))") + "\n\n"
            + Self.heldOut(result.heldOut).text() + (judgesAllLengths ? "" : "\nLengths between the tuned ones are shown, not judged.\n")
            + (sparseHeads.isEmpty ? "" : "\nIts sparse heads, each in the otherwise dense model:\n\n" + transfer.text())
    }

    private var sparseHeads: [HeadTransfer] { result.heads.filter { $0.tuned.density < 1 } }

    /// Per length: what heads keep and spoil where they were tuned, and where they were not.
    private var transfer: TextTable {
        var table = TextTable(
            columns: ["length", "mean mass, tuned", "held out", "greatest loss of mass", "head", "output error, held out / tuned", "most"]
                .map {
                    .right($0)
                })
        for bucket in result.config.buckets {
            let heads = sparseHeads.filter { $0.length == bucket.length }
            guard let worst = heads.max(by: { $0.massLost < $1.massLost }) else { continue }
            let ratios = heads.map(\.errorRatio)
            func mean(_ value: (HeadTransfer) -> Double) -> String {
                NumberFormat.fixed(heads.reduce(0) { $0 + value($1) } / Double(heads.count), decimals: 4)
            }
            table.append([
                NumberFormat.count(bucket.length), mean(\.tuned.meanMass), mean(\.heldOut.meanMass),
                NumberFormat.fixed(worst.massLost, decimals: 4), "\(worst.layer).\(worst.head)",
                NumberFormat.fixed(Quantiles.median(ratios), decimals: 2), NumberFormat.fixed(ratios.max() ?? 1, decimals: 2),
            ])
        }
        return table
    }

    private var judgesAllLengths: Bool { result.heldOut.allSatisfy(\.isTunedLength) }

    private var buckets: TextTable {
        var table = TextTable(
            columns: ["length", "density", "predicted ms", "of dense", "mean mass", "min mass", "dense", "window", "sampled"].map {
                .right($0)
            })
        for bucket in result.config.buckets {
            let heads = bucket.layers.flatMap(\.self)
            func mean(_ value: (TunedConfig.Measurement) -> Double) -> Double {
                heads.reduce(0) { $0 + value($1.measured) } / Double(max(1, heads.count))
            }
            func count(_ patterns: SampleAttentionParameters.Pattern...) -> String {
                "\(heads.count { patterns.contains($0.parameters.pattern) })"
            }
            let milliseconds = result.predictedMilliseconds(bucket)
            table.append([
                NumberFormat.count(bucket.length), NumberFormat.percent(mean(\.density)), NumberFormat.fixed(milliseconds, decimals: 0),
                NumberFormat.percent(milliseconds / max(1e-9, result.denseMilliseconds(bucket.length))),
                NumberFormat.fixed(mean(\.meanMass), decimals: 4),
                NumberFormat.fixed(heads.map(\.measured.minMass).min() ?? 1, decimals: 4),
                count(.dense), count(.window), count(.stripeWindow, .columnSlash),
            ])
        }
        return table
    }

    static func heldOut(_ rows: [HeldOutCheck.Row]) -> TextTable {
        var table = TextTable(
            columns: [.left("text"), .left("kind")]
                + ["length", "density", "loss", "growth", "KL", "same choice", "answers", "TTFT", "attention"].map {
                    .right($0)
                })
        for row in rows {
            let quality = row.quality
            table.append([
                row.text, row.kind.rawValue, NumberFormat.count(row.length), NumberFormat.percent(row.density),
                NumberFormat.fixed(quality.loss, decimals: 4),
                NumberFormat.percent(quality.lossIncrease, decimals: 2), NumberFormat.fixed(quality.meanDivergence, decimals: 4),
                NumberFormat.percent(quality.agreement),
                quality.asked == 0 ? NumberFormat.missing : "\(quality.answers)/\(quality.denseAnswers)",
                NumberFormat.fixed(row.prefillSecondsDense / row.prefillSecondsTuned, decimals: 2) + "×",
                NumberFormat.fixed(row.attentionSecondsDense / row.attentionSecondsTuned, decimals: 2) + "×",
            ])
        }
        return table
    }
}
