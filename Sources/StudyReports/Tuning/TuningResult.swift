import AttentionCore
import Autotuning
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// What `tune` prints.
package struct TuningResult: Encodable {
    package let config: TunedConfig
    package let settings: TuningSettings
    let study: TuningStudy.Result
    let latency: LatencyFile
    /// The study's own latency model: of a continued study, the one it was begun with.
    let costs: LatencyModel
    let heldOut: [HeldOutCheck.Row]
    let heads: [HeadTransfer]
    let seconds: Double
    /// How busy the threads were in that time.
    let threadsBusy: Double

    package init(
        config: TunedConfig, settings: TuningSettings, study: TuningStudy.Result, latency: LatencyFile, costs: LatencyModel,
        heldOut: [HeldOutCheck.Row], heads: [HeadTransfer], seconds: Double, threadsBusy: Double
    ) {
        (self.config, self.settings, self.study, self.latency, self.costs) = (config, settings, study, latency, costs)
        (self.heldOut, self.heads, self.seconds, self.threadsBusy) = (heldOut, heads, seconds, threadsBusy)
    }

    /// The floors that held-out text misses, in words; with a budget, the lengths that are predicted to miss it.
    package var misses: [String] {
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
    package var holds: Bool { misses.isEmpty }

    /// Predicted milliseconds of full attention in all heads.
    func denseMilliseconds(_ bucket: TunedConfig.Bucket) -> Double {
        let (c, length) = (config.model, bucket.length)
        let shape = AttentionShape(
            queryHeads: c.queryHeads, keyValueHeads: c.keyValueHeads, queryCount: length, keyCount: length, headDimension: c.headDimension)
        return 1000 * Double(tunedHeads(bucket).count) * costs.seconds(HeadWork(nil, pattern: .dense, shape: shape))
    }

    /// Of attention in all heads that were tuned.
    func predictedMilliseconds(_ bucket: TunedConfig.Bucket) -> Double {
        tunedHeads(bucket).reduce(0) { $0 + ($1.measured.milliseconds ?? 0) }
    }

    /// The others, of layers with a window of their own, have no predicted time.
    func tunedHeads(_ bucket: TunedConfig.Bucket) -> [TunedConfig.Head] {
        bucket.layers.flatMap(\.self).filter { $0.measured.milliseconds != nil }
    }

    /// What a user should know beside the tables, in sentences.
    var remarks: [String] {
        var remarks: [String] = []
        if study.isCutShort {
            remarks.append("Time ran out before everything was measured: the study, continued or given more minutes, finds more.")
        }
        let dense = config.buckets.filter { $0.layers.allSatisfy { $0.allSatisfy { $0.parameters.pattern == .dense } } }
        if !dense.isEmpty {
            let lengths = dense.map { NumberFormat.count($0.length) }.joined(separator: ", ")
            remarks.append("Nothing faster than dense attention was found to keep the floor at \(lengths) tokens.")
        }
        return remarks
    }

    private enum CodingKeys: String, CodingKey {
        case config, settings, trials, predictions, probes, steps, latencyModel, heldOut, heads, holds, isCutShort, seconds, threadsBusy
    }

    private struct LatencySummary: Encodable { let meanAbsolutePercentageError: Double }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(config, forKey: .config)
        try container.encode(settings, forKey: .settings)
        try container.encode(study.trials.count, forKey: .trials)
        try container.encode(study.options.count, forKey: .predictions)
        try container.encode(study.options.count { $0.probed != nil }, forKey: .probes)
        try container.encode(study.steps, forKey: .steps)
        try container.encode(
            LatencySummary(meanAbsolutePercentageError: latency.meanAbsolutePercentageError), forKey: .latencyModel)
        try container.encode(heldOut, forKey: .heldOut)
        try container.encode(heads, forKey: .heads)
        try container.encode(holds, forKey: .holds)
        try container.encode(study.isCutShort, forKey: .isCutShort)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(threadsBusy, forKey: .threadsBusy)
    }
}
