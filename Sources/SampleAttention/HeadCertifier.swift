import AttentionCore
import AttentionKernels

/// Certifies the heads of one layer, and changes the selections of those that miss the least mass.
struct HeadCertifier {
    let certification: Certification
    let inputs: LayerInputs
    let parameters: [SampleAttentionParameters]
    let sampled: [SampledMass]
    let promptLength: Int
    let kernel: AttentionKernel
    let workspace: AttentionWorkspace

    /// One certificate a query head, for the selections as they are left.
    ///
    /// With a least mass a head may be looked at twice: as selected, and with more columns out of the same stage 1. Each look draws
    /// rows of its own and has half of the failure probability, so whichever look is the last, its bound is wrong with at most
    /// the probability stated. A head that misses both is dense, and so is one that could not pass if every draw were 1.
    ///
    /// Rows that are not drawn are vouched for too, and outputs along with masses, so all of Q, K and V is looked at first.
    ///
    /// - Throws: `InputError` (`invalidData`) when they are not finite, or the scores may not be; see `requireFinite`.
    /// Complexity: 2 · draws · keys · d operations a head and look, and O(keys · d) a head.
    func certify(_ selections: inout [HeadSelection]) throws(InputError) -> [Certificate] {
        try inputs.requireFinite(pool: kernel.pool)
        let diameters = ValueDiameter.upperBounds(inputs.value, pool: kernel.pool)
            .flatMap { repeatElement($0, count: inputs.shape.groupSize) }
        var certificates = parameters.indices.map { denseCertificate($0, escalation: .none, valueDiameter: diameters[$0]) }
        let sparse = parameters.indices.filter { selections[$0] != .dense }
        var open = sparse.filter { canPass($0, selections[$0]) }
        var hopeless = sparse.filter { !open.contains($0) }
        for escalation in certification.looks {
            if escalation == .columns {
                // A window has no columns to add.
                hopeless += open.filter { selections[$0] == .window }
                open.removeAll { selections[$0] == .window }
                for head in open { selections[head] = sampled[head].selection(certification.escalated(parameters[head])) }
            }
            let samples = open.map { sample($0, selections[$0], escalation) }
            for (sample, masses) in zip(samples, measure(samples, selections)) {
                certificates[sample.head] = certificate(sample, masses, escalation, valueDiameter: diameters[sample.head])
            }
            guard let least = certification.minimumMass else { return certificates }
            open.removeAll { certificates[$0].meanLowerBound >= least.value }
        }
        for head in hopeless + open {
            selections[head] = .dense
            certificates[head] = denseCertificate(head, escalation: .dense, valueDiameter: diameters[head])
        }
        return certificates
    }

    private func pattern(_ head: Int, _ selection: HeadSelection) -> SparsePattern {
        SampleAttentionOperator.pattern(parameters[head], selection: selection, shape: inputs.shape, promptLength: promptLength)
    }

    private func strata(_ head: Int, _ selection: HeadSelection) -> RowStrata {
        RowStrata(
            queryCount: inputs.shape.queryCount, denseLastRows: pattern(head, selection).parts.denseLastRows, scored: sampled[head].rows,
            sampledMass: selection.sampledMass ?? 1)
    }

    /// False when even draws that all keep everything would leave the bound below the least mass.
    private func canPass(_ head: Int, _ selection: HeadSelection) -> Bool {
        certification.canPass(unseenRows: strata(head, selection).unseenRows, of: inputs.shape.queryCount)
    }

    private func sample(_ head: Int, _ selection: HeadSelection, _ escalation: Certificate.Escalation) -> HeldOutSample {
        // The first position tells the chunks of a prompt apart.
        let generator = SeededGenerator.derived(
            seed: certification.seed, inputs.shape.firstPosition, head, escalation == .none ? 0 : 1)
        return HeldOutSample(head: head, strata: strata(head, selection), draws: certification.rows, generator: generator)
    }

    /// The retained mass of each sample's rows.
    private func measure(_ samples: [HeldOutSample], _ selections: [HeadSelection]) -> [[Double]] {
        if samples.isEmpty { return [] }
        return SampledScores(kernel: kernel).retainedMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape,
            requests: samples.map { ($0.head, $0.rows, pattern($0.head, selections[$0.head])) }, workspace: workspace)
    }

    private func certificate(
        _ sample: HeldOutSample, _ masses: [Double], _ escalation: Certificate.Escalation, valueDiameter: Double
    ) -> Certificate {
        let alpha = parameters[sample.head].alpha.value
        return Certificate(
            sample.strata, unseen: sample.unseen(masses, alpha: alpha, failure: certification.failure), alpha: alpha,
            escalation: escalation, confidence: certification.confidence, valueDiameter: valueDiameter)
    }

    private func denseCertificate(_ head: Int, escalation: Certificate.Escalation, valueDiameter: Double) -> Certificate {
        .dense(
            rows: inputs.shape.queryCount, alpha: parameters[head].alpha.value, escalation: escalation,
            confidence: certification.confidence, valueDiameter: valueDiameter)
    }
}
