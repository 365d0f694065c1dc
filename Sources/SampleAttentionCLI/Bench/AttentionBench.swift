import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench attention`: the shared kernel, and for scale a plain loop of OpenBLAS tiles.
struct AttentionBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention", abstract: "Time causal attention on synthetic heads.",
        discussion: """
            GFLOP/s count the work that is kept: 4 · d operations a pair; the share is of the peak measured by multiply-adds in registers \
            in the same run. "of dense" is time over density times the time of dense attention, when that runs too: 1 means that what is \
            not kept costs nothing. openblas-tiles is the yardstick in FP32: the same streaming softmax over sgemm calls on 128 × 128 \
            tiles. Rounds alternate between patterns.
            """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var heads: HeadShapeOptions

    @Option(
        help:
            "dense, window-columns, columns-slashes, blocks, key-blocks or openblas-tiles; repeatable (default: dense, window-columns and, in FP32, openblas-tiles)."
    )
    var pattern: [String] = []

    @Option(
        help:
            "Share of the pairs that sparse patterns keep (default: 0.1): window-columns, columns-slashes and key-blocks take half of it each way; repeatable."
    )
    var density: [Double] = []

    func run() throws {
        let shapes = try heads.shapes()
        let densities = try (density.isEmpty ? [0.1] : density).map { value throws(InputError) in
            try Fraction(value, field: "density")
        }
        let kernel = try machine.makeKernel()
        let cases = try cases(densities, precision: kernel.precision)
        let peak = MachinePeak(kernel: kernel)
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [AttentionBench.Row] = []
        for shape in shapes {
            let bench = HeadBench(shape: shape, kernel: kernel, rounds: heads.rounds, seed: machine.seed)
            results += try bench.attention(cases, peak: peak)
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }

    private func cases(_ densities: [Fraction], precision: Precision) throws(InputError) -> [AttentionBench.Case] {
        let yardsticks = precision == .fp32 ? ["openblas-tiles"] : []
        var cases: [AttentionBench.Case] = []
        for name in pattern.isEmpty ? ["dense", "window-columns"] + yardsticks : pattern {
            guard let kind = AttentionBench.Kind(rawValue: name) else {
                let known = AttentionBench.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw InputError(.usage, field: "pattern", value: name, rule: "must be one of \(known)")
            }
            if kind == .blasTiles && precision != .fp32 {
                throw InputError(.usage, field: "pattern", value: name, rule: "is FP32 only: give --precision fp32")
            }
            cases += kind.isSparse ? densities.map { .init(kind: kind, density: $0) } : [.init(kind: kind, density: .one)]
        }
        return cases
    }
}
