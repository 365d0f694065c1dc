import AttentionCore
import Dispatch
import Synchronization

/// Runs independent pieces of work on a fixed number of threads. Idle between calls; kernels never start threads.
public final class WorkerPool: Sendable {
    public let threads: Int

    /// - Parameter threads: workers, at least 1. More than the machine's cores gain nothing.
    public init(threads: Int) {
        precondition(threads >= 1, "a pool has at least one thread")
        self.threads = threads
    }

    /// Calls `body(worker, index)` once for each index in `0 ..< count` and returns when all are done.
    ///
    /// Workers take the next index as they become free, so put long pieces first. `worker` is in `0 ..< threads` and no two
    /// concurrent calls share it: use it to pick scratch memory. Must not be nested, but within a run of one piece,
    /// which is done on the calling thread.
    public func run(_ count: Int, _ body: @Sendable (_ worker: Int, _ index: Int) -> Void) {
        let workers = min(threads, count)
        guard workers > 1 else {
            for index in 0..<count { body(0, index) }
            return
        }
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: workers) { worker in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                body(worker, index)
            }
        }
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
}
