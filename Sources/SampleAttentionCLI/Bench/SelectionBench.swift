import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
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
            part of the columns is selected: the most work stage 2 can have. key-blocks has all rows scored in eight bits instead, whatever the \
            sample ratio and alpha; --scored-dimensions says in what share of the coordinates.
            """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var heads: HeadShapeOptions

    @Option(help: "Share of the query rows that is scored; repeatable (default: 0.05 0.01).")
    var sampleRatio: [Double] = []

    @Option(help: "stripe-window, column-slash or key-blocks; repeatable (default: all).")
    var headPattern: [String] = []

    @Option(help: "Share of a head's coordinates that key-blocks scores with; repeatable (default: 1).")
    var scoredDimensions: [Double] = []

    @Option(help: "Share of the sampled mass to keep.")
    var alpha = 0.95

    func run() throws {
        let shapes = try heads.shapes()
        let cases = try cases()
        let kernel = try machine.makeKernel()
        let peak = MachinePeak(kernel: kernel).gigaflops(kernel.precision)
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [SelectionBench.Row] = []
        for shape in shapes {
            results += try HeadBench(shape: shape, kernel: kernel, rounds: heads.rounds, seed: machine.seed).selection(cases, peak: peak)
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }

    private func cases() throws(InputError) -> [SampleAttentionParameters] {
        var cases: [SampleAttentionParameters] = []
        for name in headPattern.isEmpty ? ["stripe-window", "column-slash", "key-blocks"] : headPattern {
            guard let pattern = SampleAttentionParameters.Pattern(rawValue: name), pattern.samplesRows || pattern == .keyBlocks else {
                throw InputError(.usage, field: "head-pattern", value: name, rule: "must be stripe-window, column-slash or key-blocks")
            }
            if pattern == .keyBlocks {
                for share in scoredDimensions.isEmpty ? [1] : scoredDimensions {
                    var parameters = SampleAttentionParameters.keyBlocks()
                    parameters.scoredDimensions = try Fraction(share, field: "scored-dimensions")
                    cases.append(parameters)
                }
                continue
            }
            for ratio in sampleRatio.isEmpty ? [0.05, 0.01] : sampleRatio {
                var parameters = SampleAttentionParameters.standard
                parameters.pattern = pattern
                parameters.alpha = try Fraction(alpha, field: "alpha")
                parameters.sampleRatio = try Fraction(ratio, field: "sample-ratio")
                cases.append(parameters)
            }
        }
        return cases
    }
}
