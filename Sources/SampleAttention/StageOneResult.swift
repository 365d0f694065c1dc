import AttentionCore
import AttentionKernels

/// What stage 1 measured of one head: all that stage 2 needs, for whatever share it is asked.
package struct StageOneResult: Sendable {
    /// The query rows whose mass was measured, ascending; none for heads that sample none.
    let rows: [Int]
    private let found: Found

    private enum Found: Sendable {
        case nothing
        case columns([Float])
        case blocks(SampledScores.BlockMasses)
        case keyBlocks(KeyBlockRanking)
    }

    private init(rows: [Int], found: Found) {
        self.rows = rows
        self.found = found
    }

    /// Stage 2: the fewest columns, or blocks and slashes, that reach the parameters' shares, or the heaviest key blocks. Only α, α_s,
    /// sinks and the counts of columns and key blocks are read: the others were settled when the rows were scored.
    package func selection(_ parameters: SampleAttentionParameters) -> HeadSelection {
        switch found {
        case .nothing: parameters.pattern == .window ? .window : .dense
        case .columns(let mass): .stripes(StripeSelection.fewest(columnMass: mass, rows: rows.count, parameters: parameters))
        case .blocks(let mass):
            .columnSlash(ColumnSlashSelection.fewest(columnMass: mass.columns, slashMass: mass.slashes, parameters: parameters))
        case .keyBlocks(let ranking): .keyBlocks(ranking.heaviest(parameters.keyBlockCount))
        }
    }

    /// Stage 1 for every query head.
    ///
    /// Complexity: 2 · rows · keys · d operations a head that samples rows, and for key blocks as `KeyBlockScoring`.
    static func ofHeads(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], promptLength: Int, kernel: AttentionKernel,
        workspace: AttentionWorkspace
    ) -> [StageOneResult] {
        var heads = [StageOneResult](repeating: StageOneResult(rows: [], found: .nothing), count: parameters.count)
        let scores = SampledScores(kernel: kernel)
        func requests(_ pattern: SampleAttentionParameters.Pattern) -> [(head: Int, rows: [Int])] {
            parameters.indices.filter { parameters[$0].pattern == pattern }
                .map { ($0, parameters[$0].samplingPlan(queryCount: inputs.shape.queryCount).rows) }
        }

        let striped = requests(.stripeWindow)
        let columns = scores.columnMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape,
            requests: striped.map { ($0.head, $0.rows, parameters[$0.head].massRule(promptLength: promptLength)) }, workspace: workspace)
        for ((head, rows), mass) in zip(striped, columns) { heads[head] = StageOneResult(rows: rows, found: .columns(mass)) }

        let crossed = requests(.columnSlash)
        let blocks = scores.blockMasses(
            query: inputs.query, key: inputs.key, shape: inputs.shape, requests: crossed, workspace: workspace)
        for ((head, rows), mass) in zip(crossed, blocks) { heads[head] = StageOneResult(rows: rows, found: .blocks(mass)) }

        let ranked = parameters.indices.filter { parameters[$0].pattern == .keyBlocks }
        let scoring = KeyBlockScoring(inputs, promptLength: promptLength, kernel: kernel)
        for (head, ranking) in zip(ranked, scoring.rankings(ranked.map { ($0, parameters[$0]) })) {
            heads[head] = StageOneResult(rows: [], found: .keyBlocks(ranking))
        }
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

    /// What stage 1 depends on: the same with what only stage 2 reads at fixed values, so that equal ones share a result.
    package var stageOneRule: SampleAttentionParameters {
        var rule = self
        rule.alpha = .one
        rule.alphaSlashes = nil
        rule.columnCount = nil
        // Blocks that sinks hold whole are not ranked; other sinks are no matter of stage 1.
        rule.sinks = pattern == .keyBlocks ? sinks / keyBlockTokens * keyBlockTokens : 0
        rule.keyBlockCount = KeyBlockRanking.depth(count: keyBlockCount) / 2
        return rule
    }
}
