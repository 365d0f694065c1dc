import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import Parallelism
import Reporting
import RunProvenance

/// `bench scores`: scores in eight bits beside those of the other precisions.
struct ScoreBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "scores", abstract: "Time the scores of all heads in INT8 against FP32 and BF16 on the same synthetic heads.",
        discussion: """
            Blocks of \(KernelTable.lanes) query rows are scored against the keys up to their end; packing of queries and keys is included. INT8 \
            gives the largest score of each row in each \(ScoreBench.group) keys, FP32 and BF16 the scores alone, tile by tile. "heaviest \
            \(ScoreBench.heaviest)" is the share of a row's groups with the largest scores in FP32 that have them here too, the mean over the \
            rows of at most 64 blocks. All operands are timed, whatever --precision.
            """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var heads: HeadShapeOptions

    func run() throws {
        let shapes = try heads.shapes()
        let kernel = try machine.makeKernel()
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [ScoreBench.Row] = []
        for shape in shapes {
            results += try HeadBench(shape: shape, kernel: kernel, rounds: heads.rounds, seed: machine.seed).scores()
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }
}
