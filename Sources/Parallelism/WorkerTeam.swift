import Dispatch
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The threads of a pool beside its callers'. They end when the pool has.
final class WorkerTeam: Sendable {
    private let helpers: Int
    /// Runs at once, of several callers or one inside the other; more than these are done by their callers alone.
    private let slots = (0..<16).map { _ in RunSlot() }
    /// Goes up with every run on offer.
    private let offers = Atomic<Int>(0)
    private let areStarted = Atomic(false)
    private let isStopped = Atomic(false)
    /// Threads that wait for the alarm; changed under the lock.
    private let sleepers = Atomic<Int>(0)
    private let lock = Lock()
    private let alarm = DispatchSemaphore(value: 0)
    private let workedNanoseconds = Atomic<Int64>(0)

    init(helpers: Int) { self.helpers = helpers }

    // MARK: Callers

    /// Does all pieces, with the help of who is free.
    func run(_ count: Int, workers: Int, body: @escaping (_ worker: Int, _ index: Int) -> Void) {
        guard let slot = slots.first(where: { $0.take() }) else {
            for index in 0..<count { body(0, index) }
            return
        }
        slot.open(count: count, workers: workers, body: body)
        offers.wrappingAdd(1, ordering: .releasing)
        if !areStarted.load(ordering: .relaxed), !areStarted.exchange(true, ordering: .relaxed) {
            for _ in 0..<helpers { start() }
        }
        wakeSleepers(for: slot)
        slot.work(as: 0)
        slot.close()
        if !slot.isDone {
            let start = ContinuousClock.now
            slot.awaitHelpers()
            add(-1, since: start)
        }
        slot.free()
    }

    /// Ends the threads once they have nothing to do.
    func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        offers.wrappingAdd(1, ordering: .releasing)
        let count = lock.locked { sleepers.exchange(0, ordering: .sequentiallyConsistent) }
        for _ in 0..<count { alarm.signal() }
    }

    // MARK: Time

    /// What helpers worked, less what all threads waited inside runs, so far.
    var workedSeconds: Double { Double(workedNanoseconds.load(ordering: .relaxed)) / 1e9 }

    private func add(_ sign: Int64, since start: ContinuousClock.Instant) {
        let spent = (ContinuousClock.now - start).components
        workedNanoseconds.wrappingAdd(sign * (spent.seconds * 1_000_000_000 + spent.attoseconds / 1_000_000_000), ordering: .relaxed)
    }

    // MARK: Helpers

    private func start() {
        let context = Unmanaged.passRetained(self)
        #if canImport(Darwin)
            var thread: pthread_t?
            let failure = pthread_create(&thread, nil, { WorkerTeam.main($0) }, context.toOpaque())
        #else
            var thread = pthread_t()
            let failure = pthread_create(&thread, nil, { $0.flatMap(WorkerTeam.main) }, context.toOpaque())
        #endif
        // Without this thread the others do its share.
        guard failure == 0 else { return context.release() }
        #if canImport(Darwin)
            if let thread { pthread_detach(thread) }
        #else
            pthread_detach(thread)
        #endif
    }

    private static func main(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        Unmanaged<WorkerTeam>.fromOpaque(context).takeRetainedValue().help()
        return nil
    }

    private func help() {
        while !isStopped.load(ordering: .relaxed) {
            let seen = offers.load(ordering: .acquiring)
            if helpWithOne() { continue }
            if BusyWait.until({ offers.load(ordering: .acquiring) != seen }) { continue }
            sleepUntilWoken()
        }
    }

    /// Joins the run begun last, as far as one can tell, that somebody may join; false when there is none.
    private func helpWithOne() -> Bool {
        for slot in slots.reversed() {
            guard let worker = slot.join() else { continue }
            let start = ContinuousClock.now
            wakeSleepers(for: slot)
            slot.work(as: worker)
            // Before it leaves: who reads the time after a run finds all of the run in it.
            add(1, since: start)
            slot.leave()
            return true
        }
        return false
    }

    private func sleepUntilWoken() {
        // Either this thread sees a run that is opened now, or its caller sees this sleeper.
        let sleeps = lock.locked {
            sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
            let isIdle = !isStopped.load(ordering: .sequentiallyConsistent) && slots.allSatisfy { $0.openings == 0 }
            if !isIdle { sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
            return isIdle
        }
        if sleeps { alarm.wait() }
    }

    /// A few at most, who wake a few each: one that wakes all others itself is late for its own work.
    private func wakeSleepers(for slot: RunSlot) {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let count = lock.locked {
            let count = min(4, sleepers.load(ordering: .relaxed), slot.openings)
            sleepers.wrappingSubtract(count, ordering: .sequentiallyConsistent)
            return count
        }
        for _ in 0..<count { alarm.signal() }
    }
}

/// A lock of the C library: one that ThreadSanitizer sees, unlike `Synchronization.Mutex`.
private final class Lock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}

/// Waiting awake for what is likely to happen within microseconds.
enum BusyWait {
    /// Looks about so often, some 200 µs: as long as it takes to wake the threads of a large machine.
    private static let looks = 512

    /// True as soon as `condition` holds; false when it did not within that time. Other threads that have something to do go first.
    static func until(_ condition: () -> Bool) -> Bool {
        for _ in 0..<looks {
            if condition() { return true }
            sched_yield()
        }
        return condition()
    }
}
