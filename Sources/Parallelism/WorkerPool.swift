import AttentionCore

/// Runs independent pieces of work on a fixed number of threads. Kernels never start threads.
///
/// The calling thread works too; the others are the pool's own, started at the first run that has use for them, and end with the pool.
/// Between runs they look for work for some hundred microseconds, for a forward pass is many short runs one after the other, and then sleep.
public final class WorkerPool: Sendable {
    public let threads: Int
    private let team: WorkerTeam
    private let birth = ContinuousClock.now

    /// - Parameter threads: workers, at least 1. More than the machine's cores gain nothing.
    public init(threads: Int) {
        precondition(threads >= 1, "a pool has at least one thread")
        self.threads = threads
        team = WorkerTeam(helpers: threads - 1)
    }

    deinit { team.stop() }

    /// Calls `body(worker, index)` once for each index in `0 ..< count` and returns when all are done.
    ///
    /// Workers take the next index as they become free, so put long pieces first. `worker` is in `0 ..< threads` and no two
    /// concurrent calls of one run share it: use it to pick scratch memory of this run. Several threads may run at once, and a body may
    /// itself run pieces: whoever is free helps the run begun last.
    public func run(_ count: Int, _ body: @Sendable (_ worker: Int, _ index: Int) -> Void) {
        let workers = min(threads, count)
        guard workers > 1 else {
            for index in 0..<count { body(0, index) }
            return
        }
        withoutActuallyEscaping(body) { team.run(count, workers: workers, body: $0) }
    }

    /// `body(index)` of each index in `0 ..< count`, computed as `run` does.
    package func map<Result: Sendable>(_ count: Int, _ body: @Sendable (_ index: Int) -> Result) -> [Result] {
        [Result](unsafeUninitializedCapacity: count) { results, initialized in
            guard let base = results.baseAddress else { return }
            let target = SharedPointer(base)
            run(count) { _, index in (target.base + index).initialize(to: body(index)) }
            initialized = count
        }
    }

    /// The share of its threads' time since the pool was made in which they had something to do, the thread of its only caller always but
    /// where it waits for the others.
    package var busyShare: Double {
        let elapsed = (ContinuousClock.now - birth).seconds
        return (elapsed + team.workedSeconds) / max(elapsed * Double(threads), 1e-9)
    }
}
