import AttentionKernels
import Parallelism
import Reporting

/// What the machine can do at most: multiply-adds in registers and reads from memory.
package struct PeakBench {
    let kernel: AttentionKernel

    package init(kernel: AttentionKernel) { self.kernel = kernel }

    package struct Row: BenchRow {
        let name, unit: String
        let threads: Int
        let gigaPerSecond: Double

        package static let titles = ["what", "threads", "rate", "unit"]
        package var cells: [String] { [name, "\(threads)", NumberFormat.fixed(gigaPerSecond, decimals: 1), unit] }
    }

    package func run() -> [Row] {
        let peak = MachinePeak(kernel: kernel)
        return [
            ("fp32", "GFLOP/s", peak.fp32Gigaflops), ("bf16", "GFLOP/s", peak.bf16Gigaflops), ("read", "GB/s", peak.readGigabytes),
        ].map { Row(name: $0, unit: $1, threads: kernel.pool.threads, gigaPerSecond: $2) }
    }
}
