import Dispatch
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The threads of a pool beside its callers'. They outlive the pool by what they have begun.
final class WorkerTeam: Sendable {
    fileprivate struct State {
        var runs: [PoolRun] = []
        var sleepers = 0
        var areStarted = false
        var isStopped = false
    }

    private let helpers: Int
    private let state = LockedState()
    /// Goes up with every run on offer.
    private let offers = Atomic<Int>(0)
    private let alarm = DispatchSemaphore(value: 0)
    private let idleNanoseconds = Atomic<UInt64>(0)

    init(helpers: Int) { self.helpers = helpers }

    var idleSeconds: Double { Double(idleNanoseconds.load(ordering: .relaxed)) / 1e9 }

    /// Lets helpers join a run.
    func offer(_ run: PoolRun) {
        let (isFirst, awakened) = state.withLock { state in
            state.runs.append(run)
            defer { state.areStarted = true }
            return (!state.areStarted, awaken(&state, for: run))
        }
        offers.wrappingAdd(1, ordering: .releasing)
        if isFirst { for _ in 0..<helpers { start() } }
        ring(awakened)
    }

    /// Nobody joins the run any more.
    func withdraw(_ run: PoolRun) {
        state.withLock { state in
            if let index = state.runs.lastIndex(where: { $0 === run }) { state.runs.remove(at: index) }
        }
    }

    /// Ends the threads once they have nothing to do.
    func stop() {
        let sleepers = state.withLock { state in
            state.isStopped = true
            defer { state.sleepers = 0 }
            return state.sleepers
        }
        offers.wrappingAdd(1, ordering: .releasing)
        ring(sleepers)
    }

    func countIdle(_ body: () -> Void) {
        let start = ContinuousClock.now
        body()
        let spent = (ContinuousClock.now - start).components
        idleNanoseconds.wrappingAdd(UInt64(spent.seconds * 1_000_000_000 + spent.attoseconds / 1_000_000_000), ordering: .relaxed)
    }

    // MARK: Helpers

    private func start() {
        let context = Unmanaged.passRetained(self)
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let failure = pthread_create(&thread, nil, { WorkerTeam.main($0) }, context.toOpaque())
        // Without this thread the others do its share.
        guard failure == 0 else { return context.release() }
        #if canImport(Darwin)
            if let thread { pthread_detach(thread) }
        #else
            pthread_detach(thread)
        #endif
    }

    #if canImport(Darwin)
        private static func main(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
            Unmanaged<WorkerTeam>.fromOpaque(context).takeRetainedValue().help()
            return nil
        }
    #else
        private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
            if let context { Unmanaged<WorkerTeam>.fromOpaque(context).takeRetainedValue().help() }
            return nil
        }
    #endif

    private enum Next {
        case work(PoolRun, worker: Int, awakened: Int)
        case nothing, stop
    }

    private func help() {
        while true {
            let seen = offers.load(ordering: .acquiring)
            switch next(sleeps: false) {
            case .stop: return
            case .work(let run, let worker, let awakened): help(run, as: worker, awakened: awakened)
            case .nothing:
                var isOffered = false
                countIdle { isOffered = BusyWait.until { offers.load(ordering: .acquiring) != seen } }
                if isOffered { continue }
                switch next(sleeps: true) {
                case .stop: return
                case .work(let run, let worker, let awakened): help(run, as: worker, awakened: awakened)
                case .nothing: alarm.wait()
                }
            }
        }
    }

    private func help(_ run: PoolRun, as worker: Int, awakened: Int) {
        ring(awakened)
        run.work(as: worker)
        run.leave()
    }

    /// - Parameter sleeps: where there is nothing to do, this thread waits for the alarm.
    private func next(sleeps: Bool) -> Next {
        state.withLock { state in
            if let run = state.runs.last(where: { $0.openings > 0 }) {
                let worker = run.join()
                return .work(run, worker: worker, awakened: awaken(&state, for: run))
            }
            if state.isStopped { return .stop }
            if sleeps { state.sleepers += 1 }
            return .nothing
        }
    }

    /// How many sleepers to wake: two at most, who wake two each, for one that wakes all others itself is late for its own work.
    private func awaken(_ state: inout State, for run: PoolRun) -> Int {
        let count = min(2, state.sleepers, run.openings)
        state.sleepers -= count
        return count
    }

    private func ring(_ count: Int) { for _ in 0..<count { alarm.signal() } }
}

/// The state behind a lock of the C library: one that ThreadSanitizer sees, unlike `Synchronization.Mutex`.
private final class LockedState: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var state = WorkerTeam.State()

    init() {
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func withLock<Result>(_ body: (inout WorkerTeam.State) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&state)
    }
}

/// Waiting that takes no part in what the kernel schedules, for what is likely to happen within microseconds.
enum BusyWait {
    /// Looks about so often, some 50 µs: what waking a sleeping thread costs, several times.
    private static let looks = 128

    /// True as soon as `condition` holds; false when it did not within that time. Other threads that have something to do go first.
    static func until(_ condition: () -> Bool) -> Bool {
        for _ in 0..<looks {
            if condition() { return true }
            sched_yield()
        }
        return condition()
    }
}
