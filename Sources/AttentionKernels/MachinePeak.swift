import AttentionCore
import CAttentionKernels

/// What this machine can do at most on the kernel's instruction set and threads: the roof that speeds are compared with.
public struct MachinePeak: Sendable {
    /// Multiply-adds in registers, two operations each, 10⁹ a second.
    public let fp32Gigaflops, bf16Gigaflops: Double
    /// Reading memory far larger than the caches, 10⁹ bytes a second.
    public let readGigabytes: Double

    /// The best of several bursts of about 30 ms on all threads: a roof is not lower because a neighbour was busy. Takes about
    /// two seconds and 256 MiB.
    public init(kernel: AttentionKernel) {
        fp32Gigaflops = Self.productRate(kernel.functions.fp32, pool: kernel.pool)
        bf16Gigaflops = Self.productRate(kernel.functions.bf16, pool: kernel.pool)
        readGigabytes = Self.readRate(kernel.functions, pool: kernel.pool)
    }

    /// The peak of the precision's products.
    public func gigaflops(_ precision: Precision) -> Double { precision == .fp32 ? fp32Gigaflops : bf16Gigaflops }

    private static let bursts = 15

    private static func productRate(_ tiles: SATileKernelTable, pool: WorkerPool) -> Double {
        let trial = 1000
        let trialSeconds = max(seconds { _ = tiles.peak(trial) }, 1e-7)
        let iterations = max(trial, Int(0.03 / trialSeconds * Double(trial)))
        let operations = Double(pool.threads) * tiles.peak(1) * Double(iterations)
        return operations / 1e9 / least { seconds { pool.run(pool.threads) { _, _ in _ = tiles.peak(iterations) } } }
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
