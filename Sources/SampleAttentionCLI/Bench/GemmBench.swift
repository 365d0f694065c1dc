import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import LinearAlgebra
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench gemm`: the products of projections and MLPs.
struct GemmBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "gemm", abstract: "Time Y = X · Wᵀ with packed weights, spread over the threads by tiles of rows.",
        discussion: "In FP32 each shape is also timed with OpenBLAS on the same tiles. Rounds alternate.")

    @OptionGroup var machine: MachineOptions

    @Option(
        help: ArgumentHelp(
            "Rows × inputs × outputs; repeatable (default: the bundled model's and an 8-billion-parameter Llama's MLP).", valueName: "RxIxO"
        ))
    var shape: [String] = []

    @Option(help: "Timed rounds.")
    var rounds = 5

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        let standard = ["8192x384x896", "8192x896x384", "512x4096x14336", "512x14336x4096"]
        let shapes = try (shape.isEmpty ? standard : shape).map { text throws(InputError) in try GemmBench.Shape(text) }
        let kernel = try machine.makeKernel()
        let peak = MachinePeak(kernel: kernel).gigaflops(kernel.precision)
        let results = try shapes.flatMap {
            try GemmBench(shape: $0, kernel: kernel, rounds: rounds, seed: machine.seed).run(peak: peak)
        }
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: results).show(json: machine.json)
    }
}

extension GemmBench.Shape {
    fileprivate init(_ text: String) throws(InputError) {
        let numbers = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.count == 3, numbers.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw InputError(.usage, field: "shape", value: text, rule: "must be ROWSxINPUTSxOUTPUTS, each from 1 to \(1 << 20)")
        }
        self.init(rows: numbers[0], inputs: numbers[1], outputs: numbers[2])
    }
}
