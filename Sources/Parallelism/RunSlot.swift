import Dispatch
import Synchronization

/// Where a run is on offer to the threads of a pool, one after the other for as long as the pool lives: threads that look for work may look
/// here at any time.
final class RunSlot: @unchecked Sendable {  // What is not atomic is written before anyone may join and after all have left.
    private let isTaken = Atomic(false)
    /// How many more may join (high half), and how many that joined are at work (low half, counted in twos: the last bit is set while the
    /// caller sleeps until they are done).
    private let state = Atomic<UInt64>(0)
    private static let opening: UInt64 = 1 << 32
    private let next = Atomic<Int>(0)
    private let done = DispatchSemaphore(value: 0)
    private var count = 0
    private var workers = 0
    private var body: ((_ worker: Int, _ index: Int) -> Void)?

    // MARK: The caller

    /// False when another run is here.
    func take() -> Bool { !isTaken.load(ordering: .relaxed) && !isTaken.exchange(true, ordering: .acquiring) }

    /// Lets helpers join: all but one of the workers.
    func open(count: Int, workers: Int, body: @escaping (_ worker: Int, _ index: Int) -> Void) {
        (self.count, self.workers, self.body) = (count, workers, body)
        next.store(0, ordering: .relaxed)
        state.store(UInt64(workers - 1) * Self.opening, ordering: .sequentiallyConsistent)
    }

    /// Nobody joins any more.
    func close() { state.bitwiseAnd(Self.opening - 1, ordering: .acquiringAndReleasing) }

    /// Whether all that joined have left. Only once it is closed.
    var isDone: Bool { state.load(ordering: .acquiring) == 0 }

    /// Returns when it is done.
    func awaitHelpers() {
        if !BusyWait.until({ isDone }), state.bitwiseOr(1, ordering: .acquiringAndReleasing).oldValue != 0 {
            done.wait()
            _ = state.load(ordering: .acquiring)
        }
        state.store(0, ordering: .relaxed)
    }

    /// Gives the slot to others. Only once it is done.
    func free() {
        body = nil
        isTaken.store(false, ordering: .releasing)
    }

    // MARK: All workers

    /// Takes pieces until there are none left.
    func work(as worker: Int) {
        guard let body else { return }
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            body(worker, index)
        }
    }

    // MARK: Helpers

    /// How many may join. After everything that was stored before, for a thread that is about to sleep.
    var openings: Int { Int(state.load(ordering: .sequentiallyConsistent) / Self.opening) }

    /// A worker's number; nil when nobody may join.
    func join() -> Int? {
        var known = state.load(ordering: .relaxed)
        while known >= Self.opening {
            let (isExchanged, found) = state.weakCompareExchange(
                expected: known, desired: known - Self.opening + 2, ordering: .acquiringAndReleasing)
            if isExchanged { return workers - Int(known / Self.opening) }
            known = found
        }
        return nil
    }

    /// What a helper did is seen by the caller from here on.
    func leave() {
        if state.wrappingSubtract(2, ordering: .acquiringAndReleasing).newValue == 1 { done.signal() }
    }
}
