import AttentionCore
import AttentionKernels
import Parallelism
import Reporting
import SampleAttention

/// What is measured of attention on random heads.
package enum AttentionBench {
    package enum Kind: String, CaseIterable {
        case dense
        case windowColumns = "window-columns"
        case columnsSlashes = "columns-slashes"
        case blocks
        case keyBlocks = "key-blocks"
        case blasTiles = "openblas-tiles"

        package var isSparse: Bool { self != .dense && self != .blasTiles }
    }

    package struct Case {
        let kind: Kind
        let density: Fraction

        package init(kind: Kind, density: Fraction) { (self.kind, self.density) = (kind, density) }
    }

    package struct Row: BenchRow {
        let pattern, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension: Int
        let density, milliseconds, millisecondsLeast, millisecondsMost, gigaflops, peakGigaflops, shareOfPeak: Double
        /// Time over density times dense time, where dense ran too.
        let timeOverDenseShare: Double?
        /// Largest difference from the FP32 reference on the checked prefix, relative to the largest output.
        let maxError: Double

        package static let titles = [
            "pattern", "length", "heads", "d", "density", "ms", "least", "most", "GFLOP/s", "of peak", "of dense", "error",
        ]
        package var cells: [String] {
            [
                pattern, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)", NumberFormat.percent(density),
                NumberFormat.fixed(milliseconds, decimals: 1), NumberFormat.fixed(millisecondsLeast, decimals: 1),
                NumberFormat.fixed(millisecondsMost, decimals: 1), NumberFormat.fixed(gigaflops, decimals: 1),
                NumberFormat.percent(shareOfPeak),
                timeOverDenseShare.map { NumberFormat.fixed($0, decimals: 3) } ?? NumberFormat.missing,
                NumberFormat.significant(maxError, digits: 2),
            ]
        }
    }
}

extension HeadBench {
    /// A row a case: attention timed after its answer has been checked against the FP32 reference of another instruction set.
    ///
    /// - Throws: `InputError` (`internalFailure`) when the answer is wrong.
    package func attention(_ cases: [AttentionBench.Case], peak: MachinePeak) throws(InputError) -> [AttentionBench.Row] {
        let heads = try RandomHeads(shape: shape, seed: seed)
        var errors: [Double] = []
        var plans: [AttentionPlan] = []
        for benchCase in cases {
            errors.append(try check(benchCase))
            plans.append(try AttentionPlan(shape: shape, patterns: patterns(benchCase, shape: shape)))
        }
        let workspace = AttentionWorkspace()
        let timings = Timing.alternating(cases.count, rounds: rounds) { index in
            execute(cases[index].kind, plan: plans[index], heads: heads, kernel: kernel, workspace: workspace)
        }
        let dense = cases.firstIndex { $0.kind == .dense }.map { timings[$0].median }
        return cases.indices.map { index in
            let timing = timings[index]
            let gigaflops = Double(plans[index].keptPairs.reduce(0, +)) * 4 * Double(shape.headDimension) / timing.median / 1e6
            let peakGigaflops = peak.gigaflops(kernel.precision)
            return AttentionBench.Row(
                pattern: cases[index].kind.rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension, density: plans[index].density, milliseconds: timing.median,
                millisecondsLeast: timing.least, millisecondsMost: timing.most, gigaflops: gigaflops, peakGigaflops: peakGigaflops,
                shareOfPeak: gigaflops / peakGigaflops,
                timeOverDenseShare: cases[index].kind.isSparse ? dense.map { timing.median / ($0 * plans[index].density) } : nil,
                maxError: errors[index])
        }
    }

    /// Random patterns of about the density asked for; rows state the exact one.
    private func patterns(_ benchCase: AttentionBench.Case, shape: AttentionShape) -> [SparsePattern] {
        let share = benchCase.density.value
        let blocks = BlockMask.blockCount(tokens: shape.keyCount)
        func random(_ count: Int, of total: Int, head: Int) -> [Int32] {
            SamplingPlan.random(queryCount: total, count: count, seed: seed &+ UInt64(head)).rows.map(Int32.init)
        }
        return (0..<shape.queryHeads).map { head in
            switch benchCase.kind {
            case .dense, .blasTiles: return .dense
            case .windowColumns:
                return .windowColumns(
                    WindowColumns(
                        window: max(1, Int(share * Double(shape.keyCount) / 4)),
                        columns: random(Int(share * Double(shape.keyCount) / 2), of: shape.keyCount, head: head)))
            case .columnsSlashes:
                return .columnsSlashes(
                    ColumnsSlashes(
                        columns: random(Int((share * Double(blocks) / 2).rounded()), of: blocks, head: head),
                        slashes: (0..<Int32(max(1, (share * Double(blocks) / 4).rounded()))).map(\.self)))
            case .blocks:
                var generator = SeededGenerator(seed: seed &+ UInt64(head))
                return .blocks(BlockMask(blocks: blocks) { _, _ in generator.uniform() < share })
            case .keyBlocks: return .windowKeyBlocks(keyBlocks(share: share, shape: shape, head: head))
            }
        }
    }

    /// Half of the share in the window, half in blocks of 32 keys anywhere before each 64 rows' window.
    private func keyBlocks(share: Double, shape: AttentionShape, head: Int) -> WindowKeyBlocks {
        let (rows, tokens) = (WindowKeyBlocks.queryBlockRows, 32)
        let window = max(1, Int(share * Double(shape.keyCount) / 4))
        let lists = (0..<(shape.keyCount + rows - 1) / rows).map { queryBlock -> [Int32] in
            let before = max(0, queryBlock * rows - window) / tokens
            let count = min(before, Int((share / 2 * Double(queryBlock * rows) / Double(tokens)).rounded()))
            let seed = seed &+ UInt64(head) &+ UInt64(queryBlock) << 32
            return count == 0 ? [] : SamplingPlan.random(queryCount: before, count: count, seed: seed).rows.map(Int32.init)
        }
        return WindowKeyBlocks(window: window, sinks: 4, blockTokens: tokens, lists: lists)
    }

    private func execute(
        _ kind: AttentionBench.Kind, plan: AttentionPlan, heads: borrowing RandomHeads, kernel: AttentionKernel,
        workspace: AttentionWorkspace
    ) {
        if kind == .blasTiles {
            BlasTileAttention(kernel: kernel).run(
                shape: plan.shape, query: heads.query, key: heads.key, value: heads.value, output: heads.output)
        } else {
            kernel.run(plan, query: heads.query, key: heads.key, value: heads.value, output: heads.output, workspace: workspace)
        }
    }

    /// - Throws: `InputError` (`internalFailure`) when the answer is wrong, so that a wrong kernel is never timed.
    private func check(_ benchCase: AttentionBench.Case) throws(InputError) -> Double {
        let small = shape.checked
        let reference = try RandomHeads(shape: small, seed: seed)
        let tested = try RandomHeads(shape: small, seed: seed)
        // Cut as the timed run is.
        let plan = try AttentionPlan(
            shape: small, patterns: patterns(benchCase, shape: small), laneBlocks: AttentionPlan.laneBlocks(queryCount: shape.queryCount))
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        other.run(
            plan, query: reference.query, key: reference.key, value: reference.value, output: reference.output,
            workspace: AttentionWorkspace())
        execute(benchCase.kind, plan: plan, heads: tested, kernel: kernel, workspace: AttentionWorkspace())
        let error = tested.largestDifference(from: reference)
        // FP32: sums of `length` terms of order 1, in another order. BF16: four operands off by up to 2⁻⁸ each.
        let limit = kernel.precision == .fp32 ? 1e-4 : 1.5e-2
        guard error < limit else {
            throw InputError(
                .internalFailure, field: benchCase.kind.rawValue, value: "\(error)",
                rule: "must agree with the FP32 reference to \(limit)")
        }
        return error
    }
}
