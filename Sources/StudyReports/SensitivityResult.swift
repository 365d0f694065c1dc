import AttentionKernels
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention

/// What `sensitivity` prints.
package struct SensitivityResult: Encodable {
    package struct Length: Encodable {
        let length: Int
        let seconds: Double
        /// Nil where no more than two heads were measured.
        let agreement: SensitivityStudy.Agreement?
        /// By layer and head.
        let heads: [SensitivityStudy.Head]

        package init(length: Int, seconds: Double, heads: [SensitivityStudy.Head], precision: Precision) {
            (self.length, self.seconds, self.heads) = (length, seconds, heads)
            agreement = SensitivityStudy.Agreement(heads, noise: SensitivityStudy.noise(precision))
        }
    }

    let model: ModelIdentity
    let provenance: Provenance
    let parameters: SampleAttentionParameters
    let draws: Int
    let lengths: [Length]

    package init(
        model: ModelIdentity, provenance: Provenance, parameters: SampleAttentionParameters, draws: Int, lengths: [Length]
    ) {
        (self.model, self.provenance, self.parameters, self.draws, self.lengths) = (model, provenance, parameters, draws, lengths)
    }

    /// - Parameter heads: of each length, those that cost most.
    package func text(heads: Int) -> String { lengths.map { text($0, heads: heads) }.joined(separator: "\n") }

    private func text(_ length: Length, heads count: Int) -> String {
        let titles = ["KL", "KL measured", "loss", "loss measured", "output error", "density"]
        var table = TextTable(columns: [.left("layer.head")] + titles.map { .right($0) })
        let noise = SensitivityStudy.noise(provenance.machine.precision)
        let order = length.heads.sorted { $0.knownDivergence(noise: noise) > $1.knownDivergence(noise: noise) }
        func nats(_ value: Double?) -> String { value.map { NumberFormat.significant($0) } ?? "" }
        for head in order.prefix(count) {
            table.append([
                "\(head.layer).\(head.head)", nats(head.predictedDivergence), nats(head.measuredDivergence), nats(head.predictedLossChange),
                nats(head.measuredLossChange), NumberFormat.significant(head.outputError), NumberFormat.percent(head.density),
            ])
        }
        let rest = length.heads.count - min(count, length.heads.count)
        var text = "\(length.length) tokens, each head alone, nats a token\n\n" + table.text()
        if rest > 0 { text += "and \(rest) heads that cost less\n" }
        if let agreement = length.agreement {
            func fixed(_ value: Double) -> String { NumberFormat.fixed(value, decimals: 2) }
            text +=
                "\nMeasured over predicted KL of \(agreement.heads) heads: median \(fixed(agreement.ratioMedian)) "
                + "(\(fixed(agreement.ratioP5)) to \(fixed(agreement.ratioP95)), 5th to 95th percentile); correlation of logarithms "
                + NumberFormat.fixed(agreement.correlation, decimals: 3)
                + (agreement.worstTenFound.map { "; \($0) of the worst ten of these found" } ?? "") + "\n"
        }
        return text
    }
}
