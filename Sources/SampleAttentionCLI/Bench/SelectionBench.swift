import ArgumentParser
import AttentionCore
import AttentionKernels
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench selection`: stages 1 and 2 beside the dense attention they are to save.
struct SelectionBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "selection", abstract: "Time sampling and selection against dense attention on the same synthetic heads.",
        discussion: """
            Stage 1 scores the sampled rows and sums them by key (or, for column-slash, by block and diagonal); stage 2 takes the fewest \
            that reach alpha. "of dense" is the time over that of dense attention in the same run. Random heads are nearly flat, so a large \
            part of the columns is selected: the most work stage 2 can have.
            """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var heads: HeadShapeOptions

    @Option(help: "Share of the query rows that is scored; repeatable (default: 0.05 0.01).")
    var sampleRatio: [Double] = []

    @Option(help: "stripe-window or column-slash; repeatable (default: both).")
    var headPattern: [String] = []

    @Option(help: "Share of the sampled mass to keep.")
    var alpha = 0.95

    struct Row: BenchRow {
        let pattern, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension: Int
        let sampleRatio, alpha, milliseconds, millisecondsLeast, millisecondsMost, denseMilliseconds, shareOfDense: Double
        /// 2 · d operations for each sampled pair.
        let gigaflops, peakGigaflops, shareOfPeak: Double
        /// Columns, or blocks and slashes, chosen by all heads.
        let selected: Int

        static let titles = [
            "pattern", "length", "heads", "d", "sampled", "ms", "least", "most", "dense ms", "of dense", "GFLOP/s", "of peak", "selected",
        ]
        var cells: [String] {
            [
                pattern, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)", NumberFormat.percent(sampleRatio),
                NumberFormat.fixed(milliseconds, decimals: 2), NumberFormat.fixed(millisecondsLeast, decimals: 2),
                NumberFormat.fixed(millisecondsMost, decimals: 2), NumberFormat.fixed(denseMilliseconds, decimals: 1),
                NumberFormat.percent(shareOfDense, decimals: 2),
                NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak), "\(selected)",
            ]
        }
    }

    func run() throws {
        let shapes = try heads.shapes()
        let subjects = try subjects()
        let kernel = try machine.makeKernel()
        let peak = MachinePeak(kernel: kernel).gigaflops(kernel.precision)
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [Row] = []
        for shape in shapes {
            results += try measure(subjects, shape: shape, kernel: kernel, peak: peak)
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }

    private func subjects() throws(InputError) -> [SampleAttentionParameters] {
        var subjects: [SampleAttentionParameters] = []
        for name in headPattern.isEmpty ? ["stripe-window", "column-slash"] : headPattern {
            guard let pattern = SampleAttentionParameters.Pattern(rawValue: name), pattern != .dense else {
                throw InputError(.usage, field: "head-pattern", value: name, rule: "must be stripe-window or column-slash")
            }
            for ratio in sampleRatio.isEmpty ? [0.05, 0.01] : sampleRatio {
                var parameters = SampleAttentionParameters.standard
                parameters.pattern = pattern
                parameters.alpha = try Fraction(alpha, field: "alpha")
                parameters.sampleRatio = try Fraction(ratio, field: "sample-ratio")
                subjects.append(parameters)
            }
        }
        return subjects
    }

    private func measure(
        _ subjects: [SampleAttentionParameters], shape: AttentionShape, kernel: AttentionKernel, peak: Double
    ) throws(InputError) -> [Row] {
        for parameters in subjects { try check(parameters, shape: shape.checked, kernel: kernel) }
        let heads = try RandomHeads(shape: shape, seed: machine.seed)
        let workspace = AttentionWorkspace()
        let plan = try AttentionPlan(shape: shape, patterns: Array(repeating: .dense, count: shape.queryHeads))
        var selected = [Int](repeating: 0, count: subjects.count)
        let timings = Timing.alternating(subjects.count + 1, rounds: self.heads.rounds) { index in
            if index == subjects.count {
                kernel.run(plan, query: heads.query, key: heads.key, value: heads.value, output: heads.output, workspace: workspace)
            } else {
                selected[index] = select(subjects[index], heads: heads, shape: shape, kernel: kernel, workspace: workspace)
                    .reduce(0) { $0 + $1.count }
            }
        }
        let dense = timings[subjects.count].median
        return subjects.indices.map { index in
            let pairs = subjects[index].samplingPlan(queryCount: shape.queryCount).rows.reduce(0) { $0 + shape.firstPosition + $1 + 1 }
            let operations = 2 * Double(shape.headDimension) * Double(pairs * shape.queryHeads)
            let gigaflops = operations / timings[index].median / 1e6
            return Row(
                pattern: subjects[index].pattern.rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension, sampleRatio: subjects[index].sampleRatio.value, alpha: alpha,
                milliseconds: timings[index].median, millisecondsLeast: timings[index].least, millisecondsMost: timings[index].most,
                denseMilliseconds: dense, shareOfDense: timings[index].median / dense, gigaflops: gigaflops,
                peakGigaflops: peak, shareOfPeak: gigaflops / peak, selected: selected[index])
        }
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
    private func check(_ parameters: SampleAttentionParameters, shape: AttentionShape, kernel: AttentionKernel) throws(InputError) {
        let heads = try RandomHeads(shape: shape, seed: machine.seed)
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        let own = select(parameters, heads: heads, shape: shape, kernel: kernel, workspace: AttentionWorkspace())
        let reference = select(parameters, heads: heads, shape: shape, kernel: other, workspace: AttentionWorkspace())
        for (own, reference) in zip(own, reference) {
            let difference = max(
                abs((own.sampledMass ?? 1) - (reference.sampledMass ?? 1)),
                abs(Double(own.count - reference.count)) / Double(shape.keyCount))
            guard difference < 0.01 else {
                throw InputError(
                    .internalFailure, field: parameters.pattern.rawValue, value: "\(difference)",
                    rule: "must agree with the FP32 reference to 0.01")
            }
        }
    }
}

extension HeadSelection {
    /// Columns, or key blocks and slashes.
    fileprivate var count: Int {
        switch self {
        case .dense, .window: 0
        case .stripes(let selection): selection.columns.count
        case .columnSlash(let selection): selection.columns.count + selection.slashes.count
        }
    }
}
