import AttentionCore
import Autotuning
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// A study in a terminal.
package struct TuningSummary {
    let result: TuningResult

    package init(_ result: TuningResult) { self.result = result }

    package var text: String {
        let study = result.study
        let words =
            "\(NumberFormat.count(study.trials.count)) trials, \(NumberFormat.count(study.options.count)) options of heads predicted, "
            + "\(study.options.count { $0.probed != nil }) of them probed, \(study.steps.count) configs on whole prompts in \(NumberFormat.seconds(result.seconds)), "
            + "\(result.config.provenance.machine.threads) threads busy \(NumberFormat.percent(result.threadsBusy, decimals: 0)) of it"
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
            columns: ["length", "density", "predicted ms", "of dense", "mean mass", "min mass", "dense", "window", "sampled", "key blocks"]
                .map {
                    .right($0)
                })
        for bucket in result.config.buckets {
            let heads = result.tunedHeads(bucket)
            func mean(_ value: (TunedConfig.Measurement) -> Double) -> Double {
                heads.reduce(0) { $0 + value($1.measured) } / Double(max(1, heads.count))
            }
            func count(_ patterns: SampleAttentionParameters.Pattern...) -> String {
                "\(heads.count { patterns.contains($0.parameters.pattern) })"
            }
            let milliseconds = result.predictedMilliseconds(bucket)
            table.append([
                NumberFormat.count(bucket.length), NumberFormat.percent(mean(\.density)), NumberFormat.fixed(milliseconds, decimals: 0),
                NumberFormat.percent(milliseconds / max(1e-9, result.denseMilliseconds(bucket))),
                NumberFormat.fixed(mean(\.meanMass), decimals: 4),
                NumberFormat.fixed(heads.map(\.measured.minMass).min() ?? 1, decimals: 4),
                count(.dense), count(.window), count(.stripeWindow, .columnSlash), count(.keyBlocks),
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
