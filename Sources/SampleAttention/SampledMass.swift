import AttentionCore
import AttentionKernels

/// What stage 1 measured of one head: all that stage 2 needs, for whatever share it is asked.
package struct SampledMass: Sendable {
    /// The query rows that were scored, ascending; none for heads that sample nothing.
    let rows: [Int]
    private let sums: Sums

    private enum Sums: Sendable {
        case nothing
        case columns([Float])
        case blocks(SampledScores.BlockMasses)
    }

    private init(rows: [Int], sums: Sums) {
        self.rows = rows
        self.sums = sums
    }

    /// Stage 2: the fewest columns, or blocks and slashes, that reach the parameters' shares. Only α, α_s, the column count and sinks are
    /// read: the others were settled when the rows were scored.
    func selection(_ parameters: SampleAttentionParameters) -> HeadSelection {
        switch sums {
        case .nothing: parameters.pattern == .window ? .window : .dense
        case .columns(let mass): .stripes(StripeSelection.fewest(columnMass: mass, rows: rows.count, parameters: parameters))
        case .blocks(let mass):
            .columnSlash(ColumnSlashSelection.fewest(columnMass: mass.columns, slashMass: mass.slashes, parameters: parameters))
        }
    }

    /// Stage 1 for every query head.
    ///
    /// Complexity: 2 · rows · keys · d operations a head that is not dense.
    static func ofHeads(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, kernel: AttentionKernel,
        workspace: AttentionWorkspace
    ) -> [SampledMass] {
        var heads = [SampledMass](repeating: SampledMass(rows: [], sums: .nothing), count: parameters.count)
        let scores = SampledScores(kernel: kernel)
        func requests(_ pattern: SampleAttentionParameters.Pattern) -> [(head: Int, rows: [Int])] {
            parameters.indices.filter { parameters[$0].pattern == pattern }
                .map { ($0, parameters[$0].samplingPlan(queryCount: inputs.shape.queryCount).rows) }
        }

        let striped = requests(.stripeWindow)
        let columns = scores.columnMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape,
            requests: striped.map { ($0.head, $0.rows, parameters[$0.head].massRule(promptLength: promptLength)) }, workspace: workspace)
        for ((head, rows), mass) in zip(striped, columns) { heads[head] = SampledMass(rows: rows, sums: .columns(mass)) }

        let crossed = requests(.columnSlash)
        let blocks = scores.blockMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape, requests: crossed, workspace: workspace)
        for ((head, rows), mass) in zip(crossed, blocks) { heads[head] = SampledMass(rows: rows, sums: .blocks(mass)) }
        return heads
    }
}

extension SampleAttentionParameters {
    /// Which of a column's mass stage 1 counts.
    package func massRule(promptLength: Int) -> SampledScores.MassRule {
        switch columnScoring {
        case .allMass: .all
        case .windowAware: .outsideWindow(window.positions(promptLength: promptLength))
        }
    }
}
