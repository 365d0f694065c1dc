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
            AttentionBenchCommand.self, SelectionBenchCommand.self, CertificateBenchCommand.self, GemmBenchCommand.self,
            PrefillBenchCommand.self, DecodeBenchCommand.self, SamplerBenchCommand.self, PeakBenchCommand.self,
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
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: PeakBench(kernel: kernel).run())
            .show(json: machine.json)
    }
}
