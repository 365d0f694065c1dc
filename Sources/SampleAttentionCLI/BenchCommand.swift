import ArgumentParser
import AttentionCore
import AttentionKernels
import Foundation
import LinearAlgebra
import Reporting
import SampleAttention

/// `bench`: time the parts.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Time the kernels on synthetic heads.", subcommands: [AttentionBenchCommand.self])
}

/// `bench attention`: the shared kernel, and for scale a plain loop of OpenBLAS tiles.
struct AttentionBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention", abstract: "Time causal attention; every answer is checked before it is timed.",
        discussion: """
            GFLOP/s count the work that is kept: 4 · d operations a pair. openblas-tiles is the yardstick: the same streaming softmax \
            over sgemm calls on 128 × 128 tiles. Rounds alternate between patterns.
            """)

    @OptionGroup var machine: MachineOptions

    @Option(help: "dense, window-columns or openblas-tiles; repeatable (default: all three).")
    var pattern: [String] = []

    @Option(help: "Tokens; repeatable (default: 4096).")
    var length: [Int] = []

    @Option(help: "Query heads.")
    var queryHeads = 8

    @Option(help: "Key-value heads.")
    var keyValueHeads = 2

    @Option(help: "Head dimension; repeatable (default: 64 128).")
    var headDimension: [Int] = []

    @Option(help: "Share of the pairs that window-columns keeps, half by the window and half by scattered columns.")
    var density = 0.1

    @Option(help: "Timed rounds.")
    var rounds = 5

    func run() throws {
        _ = try ParameterOptions.count(queryHeads, "query-heads", atLeast: 1, atMost: 1024)
        _ = try ParameterOptions.count(keyValueHeads, "key-value-heads", atLeast: 1, atMost: 1024)
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        for value in length { _ = try ParameterOptions.count(value, "length", atLeast: 1, atMost: 1 << 24) }
        for value in headDimension { _ = try ParameterOptions.count(value, "head-dimension", atLeast: 1, atMost: 1024) }
        guard queryHeads % keyValueHeads == 0 else {
            throw InputError(.usage, field: "query-heads", value: "\(queryHeads)", rule: "must be a multiple of key-value-heads")
        }
        let share = try Fraction(density, field: "density")
        let kernel = try machine.makeKernel()
        let kinds = try (pattern.isEmpty ? ["dense", "window-columns", "openblas-tiles"] : pattern).map { name throws(InputError) in
            guard let kind = AttentionBench.Kind(rawValue: name) else {
                throw InputError(.usage, field: "pattern", value: name, rule: "must be dense, window-columns or openblas-tiles")
            }
            return kind
        }
        var results: [AttentionBench.Row] = []
        for length in length.isEmpty ? [4096] : length {
            for dimension in headDimension.isEmpty ? [64, 128] : headDimension {
                let shape = AttentionShape(
                    queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: length, keyCount: length, headDimension: dimension)
                let bench = AttentionBench(shape: shape, kernel: kernel, density: share, seed: machine.seed)
                results += try bench.run(kinds, rounds: rounds)
            }
        }
        let result = BenchResult(provenance: Session.provenance(kernel: kernel, seed: machine.seed), results: results)
        if machine.json { JSONOutput.print(result) } else { print(result.table, terminator: "") }
    }
}

/// What `bench` prints.
struct BenchResult: Encodable {
    let provenance: TunedConfig.Provenance
    let results: [AttentionBench.Row]

    var table: String {
        var table = TextTable(
            columns: [.left("pattern")]
                + ["length", "heads", "d", "density", "ms", "least ms", "most ms", "GFLOP/s", "error"].map { .right($0) })
        for row in results {
            table.append([
                row.pattern, "\(row.length)", "\(row.queryHeads)/\(row.keyValueHeads)", "\(row.headDimension)",
                NumberFormat.percent(row.density),
                NumberFormat.fixed(row.milliseconds, decimals: 1), NumberFormat.fixed(row.millisecondsLeast, decimals: 1),
                NumberFormat.fixed(row.millisecondsMost, decimals: 1), NumberFormat.fixed(row.gigaflops, decimals: 1),
                NumberFormat.significant(row.maxError, digits: 2),
            ])
        }
        return "\(provenance.machine.summary)\n\n" + table.text()
    }
}
