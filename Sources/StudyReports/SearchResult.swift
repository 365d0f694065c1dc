import Autotuning
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention

/// What `search` prints.
package struct SearchResult: Encodable {
    let model: ModelIdentity
    package let provenance: Provenance
    let floorMass: Double
    let trials: Int
    let sampler: SamplerKind
    let heads: [HeadStudy.Head]

    package init(
        model: ModelIdentity, provenance: Provenance, floorMass: Double, trials: Int, sampler: SamplerKind, heads: [HeadStudy.Head]
    ) {
        (self.model, self.provenance, self.floorMass) = (model, provenance, floorMass)
        (self.trials, self.sampler, self.heads) = (trials, sampler, heads)
    }

    package var text: String {
        provenance.lengths.map { length in
            let own = heads.filter { $0.length == length }
            let chosen = own.map { $0.cheapest(meanMass: floorMass) }
            let dense = own.reduce(0) { $0 + $1.denseMilliseconds }
            let sparse = zip(own, chosen).reduce(0) { $0 + ($1.1?.cost ?? $1.0.denseMilliseconds) }
            return "\(NumberFormat.count(length)) tokens, \(own.count) heads: the cheapest trial of each that keeps "
                + "\(NumberFormat.percent(floorMass)) of its mass\n\n" + Self.table(own, chosen)
                + "\nAttention, predicted: \(NumberFormat.significant(sparse)) ms of \(NumberFormat.significant(dense)) ms dense\n"
        }.joined(separator: "\n")
    }

    private static func table(_ heads: [HeadStudy.Head], _ chosen: [FrozenTrial?]) -> String {
        var table = TextTable(
            columns: [.right("layer"), .right("head"), .left("pattern")]
                + ["density", "mean mass", "p1 mass", "output error", "ms", "of dense"].map { .right($0) })
        for (head, trial) in zip(heads, chosen) {
            guard let trial else {
                table.append(
                    ["\(head.layer)", "\(head.head)", "dense", NumberFormat.percent(1), "1.0000", "1.0000", "0"]
                        + [NumberFormat.significant(head.denseMilliseconds), NumberFormat.percent(1)])
                continue
            }
            table.append([
                "\(head.layer)", "\(head.head)", trial.parameters.pattern.rawValue, NumberFormat.percent(trial.measured.density),
                NumberFormat.fixed(trial.measured.meanMass, decimals: 4), NumberFormat.fixed(trial.measured.p1Mass, decimals: 4),
                NumberFormat.significant(trial.error), NumberFormat.significant(trial.cost),
                NumberFormat.percent(trial.cost / head.denseMilliseconds),
            ])
        }
        return table.text()
    }
}
