import ArgumentParser
import AttentionCore
import AttentionKernels
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

/// How long several rounds of one thing took.
struct Timing {
    /// All in one unit.
    let rounds: [Double]

    var median: Double { Quantiles.median(rounds) }
    var least: Double { rounds.min() ?? .nan }
    var most: Double { rounds.max() ?? .nan }

    /// Milliseconds of several bodies, each done `rounds` times in turn, after one untimed round of all.
    static func alternating(_ count: Int, rounds: Int, _ body: (_ index: Int) throws -> Void) rethrows -> [Timing] {
        var times = [[Double]](repeating: [], count: count)
        for round in 0...rounds {
            for index in 0..<count {
                let start = ContinuousClock.now
                try body(index)
                if round > 0 { times[index].append((ContinuousClock.now - start).seconds * 1e3) }
            }
        }
        return times.map(Timing.init(rounds:))
    }
}

/// What every `bench` prints: where it ran, and a row a measurement.
struct BenchResult<Row: BenchRow>: Encodable {
    let provenance: Provenance
    /// Of the model, where one was loaded.
    var loadSeconds: Double?
    let results: [Row]

    func show(json: Bool) {
        if json { return JSONOutput.print(self) }
        var table = TextTable(columns: [.left(Row.titles[0])] + Row.titles.dropFirst().map { .right($0) })
        for row in results { table.append(row.cells) }
        let loading = loadSeconds.map { "model loaded in \(NumberFormat.fixed($0, decimals: 3)) s\n" } ?? ""
        print("\(provenance.machine.summary)\n\(loading)\n\(table.text())", terminator: "")
    }
}

protocol BenchRow: Encodable {
    static var titles: [String] { get }
    var cells: [String] { get }
}

/// `bench peak`: what the machine can do at most.
struct PeakBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "peak", abstract: "The roof: multiply-adds in registers (GFLOP/s) and reads from memory (GB/s).")

    @OptionGroup var machine: MachineOptions

    struct Row: BenchRow {
        let name, unit: String
        let threads: Int
        let gigaPerSecond: Double

        static let titles = ["what", "threads", "rate", "unit"]
        var cells: [String] { [name, "\(threads)", NumberFormat.fixed(gigaPerSecond, decimals: 1), unit] }
    }

    func run() throws {
        let kernel = try machine.makeKernel()
        let peak = MachinePeak(kernel: kernel)
        let rows = [
            ("fp32", "GFLOP/s", peak.fp32Gigaflops), ("bf16", "GFLOP/s", peak.bf16Gigaflops), ("read", "GB/s", peak.readGigabytes),
        ].map { Row(name: $0, unit: $1, threads: kernel.pool.threads, gigaPerSecond: $2) }
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: rows).show(json: machine.json)
    }
}
