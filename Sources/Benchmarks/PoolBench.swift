import AttentionCore
import Parallelism
import Reporting
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What sharing work out costs by itself: runs of one piece a thread, each of which ends when all have begun.
package struct PoolBench {
    private let pool: WorkerPool
    private let rounds: Int

    /// - Parameter rounds: timed runs after each pause.
    package init(pool: WorkerPool, rounds: Int) { (self.pool, self.rounds) = (pool, rounds) }

    package struct Row: BenchRow {
        package let threads: Int
        /// Of the calling thread, before each run.
        package let pauseMicroseconds: Int
        package let microseconds, least, most: Double

        package static let titles = ["pause µs", "threads", "µs a run", "least", "most"]
        package var cells: [String] {
            ["\(pauseMicroseconds)", "\(threads)"] + [microseconds, least, most].map { NumberFormat.fixed($0, decimals: 1) }
        }
    }

    /// Runs one right after the other, after serial parts that the threads wait out awake, and after such that they sleep through.
    package func run() -> [Row] {
        [0, 20, 1000].map { pause in
            var times: [Double] = []
            for round in 0..<(rounds + rounds / 10 + 1) {
                let begin = ContinuousClock.now
                while (ContinuousClock.now - begin).seconds * 1e6 < Double(pause) {}
                let start = ContinuousClock.now
                let missing = Atomic(pool.threads)
                pool.run(pool.threads) { _, _ in
                    missing.wrappingSubtract(1, ordering: .relaxed)
                    // Where threads share a core, one that waits gives it to one that has not begun.
                    while missing.load(ordering: .relaxed) > 0 { sched_yield() }
                }
                // The first runs find threads that were never awake.
                if round > rounds / 10 { times.append((ContinuousClock.now - start).seconds * 1e6) }
            }
            let timing = Timing(rounds: times)
            return Row(
                threads: pool.threads, pauseMicroseconds: pause, microseconds: timing.median, least: timing.least, most: timing.most)
        }
    }
}
