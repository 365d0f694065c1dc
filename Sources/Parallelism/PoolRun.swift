import Dispatch
import Synchronization

/// The pieces of one call of `WorkerPool.run`, while it lasts.
final class PoolRun: @unchecked Sendable {  // `joined` is guarded by the team; `body` is there while anybody works.
    private let count, workers: Int
    private var body: ((_ worker: Int, _ index: Int) -> Void)?
    private let next = Atomic<Int>(0)
    /// Workers that have a number, the caller's included.
    private var joined = 1
    /// Two for each helper at work, and one more when the caller sleeps until they are done.
    private let inside = Atomic<Int>(0)
    private let done = DispatchSemaphore(value: 0)

    init(count: Int, workers: Int, body: @escaping (_ worker: Int, _ index: Int) -> Void) {
        self.count = count
        self.workers = workers
        self.body = body
    }

    /// How many more workers would find something to do. Only under the team's lock.
    var openings: Int { next.load(ordering: .relaxed) < count ? workers - joined : 0 }

    /// A number for one more worker. Only under the team's lock, and where there are openings.
    func join() -> Int {
        defer { joined += 1 }
        inside.wrappingAdd(2, ordering: .relaxed)
        return joined
    }

    /// Takes pieces until there are none left.
    func work(as worker: Int) {
        guard let body else { return }
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            body(worker, index)
        }
    }

    /// What a helper did is seen by the caller from here on.
    func leave() {
        if inside.wrappingSubtract(2, ordering: .acquiringAndReleasing).newValue == 1 { done.signal() }
    }

    /// Returns when all that joined have left. Only when no more can join.
    func waitForHelpers() {
        if !BusyWait.until({ inside.load(ordering: .acquiring) == 0 }),
            inside.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue != 0
        {
            done.wait()
            _ = inside.load(ordering: .acquiring)
        }
        body = nil
    }
}
