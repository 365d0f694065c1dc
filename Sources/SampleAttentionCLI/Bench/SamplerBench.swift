import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import Benchmarks
import Foundation
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// `bench sampler`: what the search itself costs beside the trials it proposes.
struct SamplerBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "sampler",
        abstract: "Time the samplers of the tuner: one proposal and one reported result a trial, with 3 parameters.",
        discussion: """
            "ms a trial" is the mean over a study of so many trials, "at the end" the median of its last tenth, "most" the slowest trial \
            (now and then TPE gives its kernels another width). Before it is timed each sampler must go on alike when it is told \
            a study anew. --best adds what the study found: the least value of Branin's function, 0.3979 at best, and with two \
            objectives the area that the front of ZDT1 dominates up to (1.1, 1.1), 0.8767 at best.
            """)

    @OptionGroup var machine: MachineOptions

    @Option(help: "quasi-random or tpe; repeatable (default: all).")
    var sampler: [String] = []

    @Option(help: "Objectives, 1 or 2; repeatable (default: both).")
    var objectives: [Int] = []

    @Option(help: "Trials of a study.")
    var trials = 1000

    @Flag(help: "Report what a study of a known function found.")
    var best = false

    func run() throws {
        _ = try ParameterOptions.count(trials, "trials", atLeast: 10)
        let kinds = try kinds()
        let counts = objectives.isEmpty ? [1, 2] : objectives
        if let wrong = counts.first(where: { !(1...2).contains($0) }) {
            throw InputError(.usage, field: "objectives", value: "\(wrong)", rule: "must be 1 or 2")
        }
        let kernel = try machine.makeKernel()
        let results = try kinds.flatMap { kind in
            try counts.map { try SamplerBench(kind: kind, objectives: $0, trials: trials, seed: machine.seed, findsBest: best).run() }
        }
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: results).show(json: machine.json)
    }

    private func kinds() throws(InputError) -> [SamplerKind] {
        if sampler.isEmpty { return SamplerKind.allCases }
        return try sampler.map { name throws(InputError) in try ParameterOptions.choice(name, "sampler") }
    }
}
