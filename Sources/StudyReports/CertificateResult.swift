import AttentionCore
import LanguageModels
import Reporting
import SampleAttention

/// The certificates of a prefill, as `generate` shows them.
package struct CertificateResult: Encodable {
    /// Of each statement about one head by itself.
    let confidence: Double
    /// Rows drawn from each head.
    let rows: Int
    let minMass: Double?
    /// Mean over heads of the estimated mean retained mass, each chunk of a prompt by its rows.
    let meanMass: Double
    /// The least of the heads' lower bounds.
    let leastMeanLowerBound: Double
    /// Heads that had to take more columns, or everything, to reach `minMass`; of a prompt in chunks each chunk's counts by itself.
    let escalatedHeads: Int
    /// Heads that attend to everything, for whatever reason; counted likewise.
    let denseHeads: Int
    let seconds: Double
    /// A head of each layer of each chunk.
    let heads: [Head]

    struct Head: Encodable {
        let chunk, layer, head: Int
        let certificate: Certificate

        private enum CodingKeys: String, CodingKey { case chunk, layer, head }

        /// The certificate's fields stand beside the place they are about.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(chunk, forKey: .chunk)
            try container.encode(layer, forKey: .layer)
            try container.encode(head, forKey: .head)
            try certificate.encode(to: encoder)
        }
    }

    /// Nil when the policy asked for none, or there is no layer that it could be of.
    package init?(_ report: LanguageModel.PrefillReport, policy: AttentionPolicy) {
        guard let certification = policy.certification, !report.layers.isEmpty else { return nil }
        heads = report.chunks.enumerated().flatMap { chunk, layers in
            zip(report.layers, layers).flatMap { layer, report in
                (report.certificates ?? []).enumerated().map { Head(chunk: chunk, layer: layer, head: $0, certificate: $1) }
            }
        }
        let certificates = heads.map(\.certificate)
        confidence = certification.confidence
        rows = certification.rows
        minMass = certification.minimumMass?.value
        meanMass =
            certificates.reduce(0) { $0 + $1.meanMass * Double($1.rows) } / Double(certificates.reduce(0) { $0 + $1.rows })
        leastMeanLowerBound = certificates.map(\.meanLowerBound).least() ?? 1
        escalatedHeads = certificates.count { $0.escalation != .none }
        denseHeads = certificates.count { $0.isDense }
        seconds = report.certificateSeconds
    }

    /// One line for people.
    package var summary: String {
        if denseHeads == heads.count { return "certificate: every head is dense, so all mass is kept" + escalations }
        let percent = NumberFormat.percent(confidence, decimals: 1)
        return "certificate: mean retained mass \(NumberFormat.fixed(meanMass, decimals: 3)), with \(percent) confidence at least "
            + "\(NumberFormat.fixed(leastMeanLowerBound, decimals: 3)) in the head\(isChunked ? " and chunk" : "") where that is least; "
            + "\(denseHeads) of \(heads.count) heads\(isChunked ? " × chunks" : "") dense" + escalations
            + ", \(NumberFormat.fixed(seconds, decimals: 3)) s"
    }

    private var isChunked: Bool { heads.contains { $0.chunk > 0 } }

    private var escalations: String {
        minMass.map { "; \(escalatedHeads) changed to keep \(NumberFormat.fixed($0, decimals: 3))" } ?? ""
    }
}
