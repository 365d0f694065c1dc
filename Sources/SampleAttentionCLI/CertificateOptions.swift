import ArgumentParser
import AttentionCore
import LanguageModels
import ModelFormats
import Reporting
import SampleAttention

/// Whether and how a prefill certifies the retained mass of its heads.
struct CertificateOptions: ParsableArguments {
    @Flag(
        inversion: .prefixedNo,
        help: """
            Certify each head's retained mass from query rows held out of the selection (default: with --json, unless --attention is \
            dense or keeps hash buckets (or, as moba, what each row chooses); implied by the options below).
            """)
    var certificate: Bool?

    @Option(help: "Query rows drawn for a head's certificate (default: 256).")
    var certificateRows: Int?

    @Option(help: "Probability with which each statement of a certificate holds, between 0 and 1 (default: 0.95).")
    var confidence: Double?

    @Option(
        help: """
            Least mean retained mass, in (0, 1]: a head whose certified lower bound is below it takes more columns, then everything. The \
            bound is some way below the mean, so columns are enough only well above it, and drawn rows show 1 - 4.2 / rows at best: \
            beyond that every head is dense.
            """)
    var minMass: Double?

    /// What was asked for; nil for no certificates.
    ///
    /// - Parameter standard: whether there are certificates when no option says so.
    func certification(default standard: Bool, seed: UInt64) throws(InputError) -> Certification? {
        let given = [
            ("certificate-rows", certificateRows.map { "\($0)" }), ("confidence", confidence.map { "\($0)" }),
            ("min-mass", minMass.map { "\($0)" }),
        ]
        var areWanted = certificate ?? standard
        for case (let field, let value?) in given {
            guard certificate != false else {
                throw InputError(.usage, field: field, value: value, rule: "cannot go with --no-certificate")
            }
            areWanted = true
        }
        guard areWanted else { return nil }
        return try Certification(
            rows: try ParameterOptions.count(certificateRows ?? Certification.standardRows, "certificate-rows", atLeast: 2),
            confidence: confidence ?? Certification.standardConfidence,
            minimumMass: try minMass.map { value throws(InputError) in try Fraction(value, field: "min-mass") }, seed: seed)
    }
}

extension Certification {
    /// - Throws: `InputError` (`usage`) for an attention without patterns.
    func applied(to policy: AttentionPolicy) throws(InputError) -> AttentionPolicy {
        guard policy.canCertify else {
            throw InputError(
                .usage, field: "certificate", value: policy.name,
                rule: "keeps hash buckets or what each row chooses, and certificates are of patterns")
        }
        return policy.certified(self)
    }

    /// A warning for people when no draws could show that some heads keep the least mass: such heads are dense
    /// whatever they keep. Where heads choose their own dense rows it is known only that they may be.
    ///
    /// - Parameter chunk: tokens the prefill takes at once; nil for all.
    func warning(policy: AttentionPolicy, model: DecoderDescription, promptLength: Int, chunk: Int?) -> String? {
        let size = chunk ?? promptLength
        let chunks = stride(from: 0, to: promptLength, by: size).map { $0..<min($0 + size, promptLength) }
        var needed: [Int] = []
        var isCertain = true
        for queries in chunks {
            var known: [SampleAttentionParameters: Int?] = [:]
            for layer in model.fullAttentionLayers {
                guard let heads = policy.parameters(layer: layer, queryHeads: model.queryHeads, promptLength: promptLength) else {
                    // Of another method's heads nothing is known before they have chosen.
                    if let rows = rowsNeeded(unseenRows: queries.count, of: queries.count) {
                        needed += repeatElement(rows, count: model.queryHeads)
                        isCertain = false
                    }
                    continue
                }
                for head in heads {
                    let rows = known[head] ?? rowsNeeded(head, queries: queries, promptLength: promptLength)
                    known[head] = .some(rows)
                    if let rows { needed.append(rows) }
                }
            }
        }
        guard let most = needed.max(), let minimumMass else { return nil }
        let all = "\(model.fullAttentionLayers.count * model.queryHeads * chunks.count) heads" + (chunks.count > 1 ? " × chunks" : "")
        return "warning: min-mass: \(minimumMass): \(rows) drawn rows show at most \(NumberFormat.fixed(bestLowerBound, decimals: 4)), so "
            + "\(needed.count) of \(all) \(isCertain ? "are" : "may be") dense; it takes --certificate-rows \(most) or more"
    }
}
