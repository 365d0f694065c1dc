import Evaluation
import Reporting
import RunProvenance
import SampleAttention

/// What `audit` prints.
package struct AuditResult: Encodable {
    package struct Length: Encodable {
        let length: Int
        let rules: [SamplingAudit.Summary]

        package init(length: Int, rules: [SamplingAudit.Summary]) { (self.length, self.rules) = (length, rules) }
    }

    let model: ModelIdentity
    let provenance: Provenance
    let alpha, windowRatio: Double
    let lengths: [Length]

    package init(model: ModelIdentity, provenance: Provenance, alpha: Double, windowRatio: Double, lengths: [Length]) {
        (self.model, self.provenance, self.alpha, self.windowRatio, self.lengths) = (model, provenance, alpha, windowRatio, lengths)
    }

    package var text: String {
        lengths.map { "\($0.length) tokens, \($0.rules[0].heads) heads; mass over all rows − \(alpha)\n\n" + Self.table($0.rules) + "\n" }
            .joined()
    }

    private static func table(_ rules: [SamplingAudit.Summary]) -> String {
        let titles = ["ratio", "mean", "p1", "least", "heads that miss", "sampled − true", "p1 of queries", "least query", "density"]
        var table = TextTable(columns: [.left("rule")] + titles.map { .right($0) })
        for rule in rules {
            func signed(_ value: Double) -> String { (value < 0 ? "" : "+") + NumberFormat.fixed(value, decimals: 4) }
            table.append([
                rule.sampling.rawValue, NumberFormat.percent(rule.ratio), signed(rule.mean), signed(rule.p1), signed(rule.least),
                NumberFormat.percent(rule.missed), signed(rule.optimism), NumberFormat.fixed(rule.queryP1, decimals: 3),
                NumberFormat.fixed(rule.queryLeast, decimals: 3), NumberFormat.percent(rule.density),
            ])
        }
        return table.text()
    }
}
