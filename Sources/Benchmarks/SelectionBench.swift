import AttentionCore
import AttentionKernels
import Parallelism
import Reporting
import SampleAttention

/// What is measured of stages 1 and 2 beside the dense attention they are to save.
package enum SelectionBench {
    package struct Row: BenchRow {
        let pattern, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension: Int
        /// The share of a head's coordinates that is scored.
        let scoredDimensions: Double
        let sampleRatio, alpha, milliseconds, millisecondsLeast, millisecondsMost, denseMilliseconds, shareOfDense: Double
        /// 2 · d operations for each sampled pair; for key blocks, whose scores are in eight bits, 2 · scored coordinates for each pair.
        let gigaflops, peakGigaflops, shareOfPeak: Double
        /// Columns, blocks and slashes, or key blocks of all query blocks, chosen by all heads.
        let selected: Int

        package static let titles = [
            "pattern", "length", "heads", "d", "scored", "sampled", "ms", "least", "most", "dense ms", "of dense", "GFLOP/s", "of peak",
            "selected",
        ]
        package var cells: [String] {
            [
                pattern, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)", NumberFormat.percent(scoredDimensions),
                NumberFormat.percent(sampleRatio),
                NumberFormat.fixed(milliseconds, decimals: 2), NumberFormat.fixed(millisecondsLeast, decimals: 2),
                NumberFormat.fixed(millisecondsMost, decimals: 2), NumberFormat.fixed(denseMilliseconds, decimals: 1),
                NumberFormat.percent(shareOfDense, decimals: 2),
                NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak), "\(selected)",
            ]
        }
    }
}

extension HeadBench {
    /// A row for each set of parameters, which every head has.
    ///
    /// - Throws: `InputError` (`internalFailure`) when a selection is wrong, so that a wrong one is never timed.
    package func selection(_ cases: [SampleAttentionParameters], peak: Double) throws(InputError) -> [SelectionBench.Row] {
        for parameters in cases { try check(parameters, shape: shape.checked) }
        let heads = try RandomHeads(shape: shape, seed: seed)
        let workspace = AttentionWorkspace()
        let plan = try AttentionPlan(shape: shape, patterns: Array(repeating: .dense, count: shape.queryHeads))
        var selected = [Int](repeating: 0, count: cases.count)
        let timings = Timing.alternating(cases.count + 1, rounds: rounds) { index in
            if index == cases.count {
                kernel.run(plan, query: heads.query, key: heads.key, value: heads.value, output: heads.output, workspace: workspace)
            } else {
                selected[index] = select(cases[index], heads: heads, shape: shape, kernel: kernel, workspace: workspace)
                    .reduce(0) { $0 + $1.count }
            }
        }
        let dense = timings[cases.count].median
        return cases.indices.map { index in
            let pairs = scoredPairs(cases[index])
            let dimension = shape.headDimension
            let coordinates = cases[index].pattern == .keyBlocks ? cases[index].scoredCoordinates(of: dimension) : dimension
            let operations = 2 * Double(coordinates) * Double(pairs * shape.queryHeads)
            let gigaflops = operations / timings[index].median / 1e6
            return SelectionBench.Row(
                pattern: cases[index].pattern.rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: dimension, scoredDimensions: Double(coordinates) / Double(dimension),
                sampleRatio: cases[index].pattern == .keyBlocks ? 1 : cases[index].sampleRatio.value,
                alpha: cases[index].alpha.value,
                milliseconds: timings[index].median, millisecondsLeast: timings[index].least, millisecondsMost: timings[index].most,
                denseMilliseconds: dense, shareOfDense: timings[index].median / dense, gigaflops: gigaflops,
                peakGigaflops: peak, shareOfPeak: gigaflops / peak, selected: selected[index])
        }
    }

    private func scoredPairs(_ parameters: SampleAttentionParameters) -> Int {
        guard parameters.pattern == .keyBlocks else {
            return parameters.samplingPlan(queryCount: shape.queryCount).rows.reduce(0) { $0 + shape.firstPosition + $1 + 1 }
        }
        let geometry = KeyBlockGeometry(parameters, shape: shape, promptLength: shape.keyCount)
        return geometry.queryBlocks.reduce(0) { $0 + geometry.rows(queryBlock: $1).count * geometry.keys(queryBlock: $1) }
    }

    private func select(
        _ parameters: SampleAttentionParameters, heads: borrowing RandomHeads, shape: AttentionShape, kernel: AttentionKernel,
        workspace: AttentionWorkspace
    ) -> [HeadSelection] {
        SampleAttentionOperator(kernel: kernel).select(
            .init(query: heads.query, key: heads.key, value: heads.value),
            parameters: Array(repeating: parameters, count: shape.queryHeads), promptLength: shape.keyCount, workspace: workspace)
    }

    /// The sampled share that the selection holds, and how much it takes to hold it, must be the scalar reference's.
    private func check(_ parameters: SampleAttentionParameters, shape: AttentionShape) throws(InputError) {
        let heads = try RandomHeads(shape: shape, seed: seed)
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        let own = select(parameters, heads: heads, shape: shape, kernel: kernel, workspace: AttentionWorkspace())
        let reference = select(parameters, heads: heads, shape: shape, kernel: other, workspace: AttentionWorkspace())
        for (own, reference) in zip(own, reference) {
            let difference = max(
                abs((own.sampledMass ?? 1) - (reference.sampledMass ?? 1)),
                abs(Double(own.count - reference.count)) / Double(shape.keyCount))
            // Scores in eight bits are the same on every instruction set, and so must be the blocks.
            let isAlike = if case .keyBlocks = own { own == reference } else { difference < 0.01 }
            guard isAlike else {
                throw InputError(
                    .internalFailure, field: parameters.pattern.rawValue, value: "\(difference)",
                    rule: "must agree with the FP32 reference to 0.01")
            }
        }
    }
}

extension HeadSelection {
    /// Columns, block columns and slashes, or key blocks.
    fileprivate var count: Int {
        switch self {
        case .dense, .window: 0
        case .stripes(let selection): selection.columns.count
        case .columnSlash(let selection): selection.columns.count + selection.slashes.count
        case .keyBlocks(let selection): selection.count
        }
    }
}
