import AttentionCore
import CAttentionKernels
import Parallelism

/// What this machine can do at most on the kernel's instruction set and threads: the roof that speeds are compared with.
public struct MachinePeak: Sendable {
    /// Multiply-adds in registers, two operations each, 10⁹ a second.
    public let fp32Gigaflops, bf16Gigaflops: Double
    /// Reading memory far larger than the caches, 10⁹ bytes a second.
    public let readGigabytes: Double

    /// The best of several bursts of about 30 ms on all threads: a roof is not lower because a neighbour was busy. Takes about
    /// two seconds and 256 MiB.
    public init(kernel: AttentionKernel) {
        let rates = Self.productRates(
            [kernel.functions.fp32, kernel.functions.bf16], pool: kernel.pool, bursts: Self.bursts, burstSeconds: 0.03)
        (fp32Gigaflops, bf16Gigaflops) = (rates[0][0], rates[1][0])
        readGigabytes = Self.readRate(kernel.functions, pool: kernel.pool)
    }

    /// The peak of the precision's products.
    public func gigaflops(_ precision: Precision) -> Double { precision == .fp32 ? fp32Gigaflops : bf16Gigaflops }

    private static let bursts = 15

    /// The rates of each of some tile kernels, in 10⁹ operations a second, over bursts in turn, the best first.
    ///
    /// Bursts take the time named as long as every thread has a core, and not much longer where threads share cores.
    static func productRates(_ kernels: [SATileKernelTable], pool: WorkerPool, bursts: Int, burstSeconds: Double) -> [[Double]] {
        let burstSeconds = burstSeconds * min(1, Double(WorkerPool.availableCores) / Double(pool.threads))
        let iterations = kernels.map { tiles in
            let trial = 1000
            // The first call may find the core asleep.
            let trialSeconds = max(min(seconds { _ = tiles.peak(trial) }, seconds { _ = tiles.peak(trial) }), 1e-7)
            return max(trial, Int(burstSeconds / trialSeconds * Double(trial)))
        }
        var times = [[Double]](repeating: [], count: kernels.count)
        for _ in 0..<bursts {
            for (index, tiles) in kernels.enumerated() {
                let count = iterations[index]
                times[index].append(seconds { pool.run(pool.threads) { _, _ in _ = tiles.peak(count) } })
            }
        }
        return kernels.indices.map { index in
            let operations = Double(pool.threads) * kernels[index].peak(1) * Double(iterations[index]) / 1e9
            return times[index].sorted().map { operations / $0 }
        }
    }

    private static func readRate(_ functions: SAKernelTable, pool: WorkerPool) -> Double {
        let share = 64 * 1024 * 1024 / pool.threads
        let memory = AlignedBuffer<Float>(count: share * pool.threads)
        // Memory that was never written is one page of zeros.
        memory.elements.update(repeating: 1)
        let base = SharedPointer(memory.base)
        let time = least {
            seconds { pool.run(pool.threads) { _, index in _ = functions.read_sum(base.base + index * share, share) } }
        }
        return Double(memory.count * MemoryLayout<Float>.stride) / 1e9 / time
    }

    private static func least(_ measure: () -> Double) -> Double { (0..<bursts).map { _ in measure() }.min()! }

    private static func seconds(_ body: () -> Void) -> Double { ContinuousClock().measure(body).seconds }
}
