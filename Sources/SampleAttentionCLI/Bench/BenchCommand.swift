import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import Parallelism
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// `bench`: time the parts.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Time a prefill's parts and decoding; every answer is checked before it is timed.",
        subcommands: [
            AttentionBenchCommand.self, SelectionBenchCommand.self, ScoreBenchCommand.self, CertificateBenchCommand.self,
            GemmBenchCommand.self, PrefillBenchCommand.self, BackwardBenchCommand.self, DecodeBenchCommand.self, SamplerBenchCommand.self,
            PeakBenchCommand.self,
            PoolBenchCommand.self,
        ])
}

extension BenchResult {
    func show(json: Bool) {
        if json { JSONOutput.print(self) } else { print(text, terminator: "") }
    }
}

/// `bench peak`: what the machine can do at most.
struct PeakBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "peak", abstract: "The roof: multiply-adds in registers (GFLOP/s) and reads from memory (GB/s).")

    @OptionGroup var machine: MachineOptions

    func run() throws {
        let kernel = try machine.makeKernel()
        let results = PeakBench(kernel: kernel).run()
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: results).show(json: machine.json)
    }
}

/// `bench pool`: what sharing work out costs.
struct PoolBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract:
            "Microseconds until all threads of the pool are at work on a run and it has ended: right after another one, and after a pause.")

    @OptionGroup var machine: MachineOptions

    @Option(help: "Timed runs for each pause.")
    var rounds = 1000

    func run() throws {
        let kernel = try machine.makeKernel()
        let rounds = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        let results = PoolBench(pool: kernel.pool, rounds: rounds).run()
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: results).show(json: machine.json)
    }
}
