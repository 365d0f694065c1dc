import ErrorBounds
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// What `verify` prints.
package struct VerificationResult: Encodable {
    /// One head of one prompt under its selected pattern.
    package struct Head: Encodable {
        let text: Provenance.Text
        let tokens, layer, head: Int
        let bounds: HeadBounds

        package init(text: Provenance.Text, tokens: Int, layer: Int, head: Int, bounds: HeadBounds) {
            (self.text, self.tokens, self.layer, self.head, self.bounds) = (text, tokens, layer, head, bounds)
        }

        private enum Key: String, CodingKey { case text, textSHA256, tokens, layer, head }

        /// The keys of `HeadBounds` beside the text's, tokens, layer and head.
        package func encode(to encoder: any Encoder) throws {
            try bounds.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(text.name, forKey: .text)
            try container.encode(text.sha256, forKey: .textSHA256)
            try container.encode(tokens, forKey: .tokens)
            try container.encode(layer, forKey: .layer)
            try container.encode(head, forKey: .head)
        }
    }

    let model: ModelIdentity
    let provenance: Provenance
    /// Whose patterns are the selected ones.
    let attention: String
    let holds: Bool
    let patterns, adversarialHeads: [String]
    let bounds: [BoundCheck]
    let heads: [Head]

    package init(
        model: ModelIdentity, provenance: Provenance, attention: String, holds: Bool, patterns: [String], adversarialHeads: [String],
        bounds: [BoundCheck], heads: [Head]
    ) {
        (self.model, self.provenance, self.attention, self.holds) = (model, provenance, attention, holds)
        (self.patterns, self.adversarialHeads, self.bounds, self.heads) = (patterns, adversarialHeads, bounds, heads)
    }

    package var text: String {
        let count = Set(heads.map { [$0.layer, $0.head] }).count
        let lengths = provenance.lengths.map(String.init).joined(separator: ", ")
        return
            "\(count) heads at \(lengths) tokens, \(patterns.count) patterns each, and \(adversarialHeads.count) adversarial heads\n\n"
            + boundTable.text() + bounds.map { "\n\($0.name): \($0.statement)" }.joined()
            + "\n\nHow much the bound (1 − CRA)·D promises on these heads, under the pattern that '\(attention)' selects for each, and the α that Theorem 2 asks for\n"
            + "an error of 1, 5 and 10 % of the mean L1 norm of a head's output rows (renormalised); rounding: the kernel's\n"
            + "largest deviation in units of its row's allowance. Medians over heads.\n\n"
            + vacuityTable.text() + (holds ? "\n\nEvery valid bound holds.\n" : "\n\nA valid bound is broken: see the table.\n")
    }

    private var boundTable: TextTable {
        var table = TextTable(columns: [
            .left("bound"), .left("valid"), .right("checked"), .right("violations"), .right("largest error / bound"), .left("where"),
        ])
        for check in bounds {
            table.append([
                check.name, check.valid ? "yes" : "no", NumberFormat.count(check.checked), NumberFormat.count(check.violations),
                NumberFormat.fixed(check.maxRatio, decimals: 4), check.worst.map { "\($0.label), query \($0.row)" } ?? NumberFormat.missing,
            ])
        }
        return table
    }

    /// One line a text and length, over its heads.
    private var vacuityTable: TextTable {
        let shares = HeadBounds.shares.map { "α for \(NumberFormat.percent($0, decimals: 0))" }
        var table = TextTable(
            columns: [.left("text"), .right("tokens"), .right("CRA"), .right("bound / error"), .right("range")]
                + shares.map { .right($0) } + [.right("D upper / exact"), .right("rounding / allowed")])
        for text in provenance.texts {
            for length in provenance.lengths {
                let own = heads.filter { $0.text == text && $0.tokens == length }.map(\.bounds)
                table.append([text.name, "\(length)"] + Self.summary(own))
            }
        }
        return table
    }

    private static func summary(_ heads: [HeadBounds]) -> [String] {
        func median(_ values: [Double], _ decimals: Int) -> String { NumberFormat.fixed(Quantiles.median(values), decimals: decimals) }
        let ratios = heads.compactMap(\.vacuity)
        let range = ratios.isEmpty ? [NumberFormat.missing] : [ratios.min()!, ratios.max()!].map { NumberFormat.significant($0) }
        let exact = heads.filter { $0.diameterIsExact && $0.diameter > 0 }
        return [
            median(heads.map(\.cumulativeResidualAttention), 3), NumberFormat.significant(Quantiles.median(ratios)),
            range.joined(separator: " – "),
        ]
            + HeadBounds.shares.indices.map { index in
                median(heads.compactMap { $0.alphas.indices.contains(index) ? $0.alphas[index].renormalised : nil }, 4)
            } + [
                median(exact.map { $0.diameterUpperBound / $0.diameter }, 3), median(heads.compactMap(\.kernelAllowanceUsed), 4),
            ]
    }
}
