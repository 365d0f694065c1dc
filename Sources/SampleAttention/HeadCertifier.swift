import AttentionCore
import AttentionKernels

/// Certifies the heads of one layer, and changes those that miss the least mass.
struct HeadCertifier {
    let certification: Certification
    let inputs: LayerInputs
    let kernel: AttentionKernel
    let workspace: AttentionWorkspace

    /// One certificate a query head, for the heads as they are left.
    ///
    /// With a least mass a head may go through two stages: as selected, and with more columns out of the same sampled rows. Each stage draws
    /// rows of its own and has half of the failure probability, so whichever is the last, its bound is wrong with at most
    /// the probability stated. A head that misses both is dense, and so is one that could not pass if every draw were 1.
    ///
    /// The bound speaks of rows that are not drawn too, and of outputs along with masses, so all of Q, K and V is checked first.
    ///
    /// - Parameter widen: the head with more columns; nil where it has none to add.
    /// - Throws: `InputError` (`invalidData`) when Q, K or V is not finite, or the scores may not be; see `requireFinite`.
    /// Complexity: 2 · draws · keys · d operations a head and stage, and O(keys · d) a head.
    func certify(_ heads: inout [SelectedHead], widen: (_ head: Int) -> SelectedHead?) throws(InputError) -> [Certificate] {
        try inputs.requireFinite(pool: kernel.pool)
        let diameters = ValueDiameter.upperBounds(inputs, pool: kernel.pool)
            .flatMap { repeatElement($0, count: inputs.shape.groupSize) }
        let alphas = heads.map(\.alpha)
        func dense(_ head: Int, _ escalation: Certificate.Escalation) -> Certificate {
            .dense(
                rows: inputs.shape.queryCount, alpha: alphas[head], escalation: escalation, confidence: certification.confidence,
                valueDiameter: diameters[head])
        }
        var certificates = heads.indices.map { dense($0, .none) }
        let sparse = heads.indices.filter { !heads[$0].isDense }
        var open = sparse.filter { canPass(heads[$0]) }
        var beyondReach = sparse.filter { !open.contains($0) }
        for escalation in certification.stages {
            if escalation == .columns {
                let wider = open.map { ($0, widen($0)) }
                beyondReach += wider.filter { $0.1 == nil }.map(\.0)
                open = wider.filter { $0.1 != nil }.map(\.0)
                for case (let head, let more?) in wider { heads[head] = more }
            }
            let samples = open.map { sample($0, heads[$0], escalation) }
            for (sample, masses) in zip(samples, measure(samples, heads)) {
                let alpha = alphas[sample.head]
                certificates[sample.head] = Certificate(
                    sample.strata, unseen: sample.unseen(masses, alpha: alpha, failure: certification.failure), alpha: alpha,
                    escalation: escalation, confidence: certification.confidence, valueDiameter: diameters[sample.head])
            }
            guard let least = certification.minimumMass else { return certificates }
            open.removeAll { certificates[$0].meanLowerBound >= least.value }
        }
        for head in beyondReach + open {
            heads[head].pattern = .dense
            heads[head].sampledMass = 1
            certificates[head] = dense(head, .dense)
        }
        return certificates
    }

    private func strata(_ head: SelectedHead) -> RowStrata {
        RowStrata(
            queryCount: inputs.shape.queryCount, denseLastRows: head.pattern.parts.denseLastRows, scored: head.scoredRows,
            sampledMass: head.sampledMass ?? 1)
    }

    /// False when even draws that all keep everything would leave the bound below the least mass.
    private func canPass(_ head: SelectedHead) -> Bool {
        certification.canPass(unseenRows: strata(head).unseenRows, of: inputs.shape.queryCount)
    }

    private func sample(_ index: Int, _ head: SelectedHead, _ escalation: Certificate.Escalation) -> HeldOutSample {
        // The first position tells the chunks of a prompt apart.
        let generator = SeededGenerator.derived(
            seed: certification.seed, inputs.shape.firstPosition, index, escalation == .none ? 0 : 1)
        return HeldOutSample(head: index, strata: strata(head), draws: certification.rows, generator: generator)
    }

    /// The retained mass of each sample's rows.
    private func measure(_ samples: [HeldOutSample], _ heads: [SelectedHead]) -> [[Double]] {
        if samples.isEmpty { return [] }
        return SampledScores(kernel: kernel).retainedMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape,
            requests: samples.map { ($0.head, $0.rows, heads[$0.head].pattern) }, workspace: workspace)
    }
}
