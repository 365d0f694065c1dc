import Dispatch
import Parallelism
import Synchronization
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

@Suite struct WorkerPoolTests {
    @Test(arguments: [1, 2, 7], [0, 1, 2, 6, 1000]) func everyIndexIsDoneOnce(threads: Int, count: Int) {
        let done = (0..<count).map { _ in Counter() }
        WorkerPool(threads: threads).run(count) { worker, index in
            #expect((0..<min(threads, count)).contains(worker))
            done[index].value.wrappingAdd(1, ordering: .relaxed)
        }
        #expect(done.allSatisfy { $0.value.load(ordering: .relaxed) == 1 })
    }

    /// Scratch memory is picked by the worker, so two calls at once must not have the same one.
    @Test func concurrentCallsHaveWorkersOfTheirOwn() {
        let threads = 4
        let running = (0..<threads).map { _ in Counter() }
        let shared = Counter()
        WorkerPool(threads: threads).run(400) { worker, _ in
            if running[worker].value.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue != 0 {
                shared.value.wrappingAdd(1, ordering: .relaxed)
            }
            // Long enough for all threads to be in a piece at once, on any number of cores.
            usleep(100)
            running[worker].value.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        #expect(shared.value.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [1, 3]) func mapsInOrder(threads: Int) {
        let pool = WorkerPool(threads: threads)
        #expect(pool.map(100) { "\($0)" } == (0..<100).map { "\($0)" })
        #expect(pool.map(0) { $0 }.isEmpty)
    }

    /// A forward pass is many short runs; what one wrote the next must see.
    @Test func runsOneAfterTheOtherSeeEachOthersWork() {
        let pool = WorkerPool(threads: 3)
        let counters = (0..<8).map { _ in Counter() }
        for round in 0..<5000 {
            pool.run(counters.count) { _, index in
                let before = counters[index].value.load(ordering: .relaxed)
                if before == round { counters[index].value.store(round + 1, ordering: .relaxed) }
            }
        }
        #expect(counters.allSatisfy { $0.value.load(ordering: .relaxed) == 5000 })
    }

    /// All threads have to be at work at once for this run to end: those that slept must have been woken.
    @Test(.timeLimit(.minutes(10))) func sleepingThreadsAreWoken() async throws {
        let threads = 6
        let pool = WorkerPool(threads: threads)
        for _ in 0..<20 {
            let arrived = Counter()
            pool.run(threads) { _, _ in
                arrived.value.wrappingAdd(1, ordering: .sequentiallyConsistent)
                while arrived.value.load(ordering: .sequentiallyConsistent) < threads { sched_yield() }
            }
            // Longer than a free thread looks for work before it sleeps.
            try await Task.sleep(for: .milliseconds(3))
        }
    }

    @Test(.timeLimit(.minutes(10))) func bodiesMayRunPiecesThemselves() {
        let pool = WorkerPool(threads: 4)
        let done = Counter()
        let strangers = Counter()
        pool.run(10) { _, _ in
            let running = (0..<pool.threads).map { _ in Counter() }
            pool.run(50) { worker, _ in
                if running[worker].value.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue != 0 {
                    strangers.value.wrappingAdd(1, ordering: .relaxed)
                }
                done.value.wrappingAdd(1, ordering: .relaxed)
                running[worker].value.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            }
        }
        #expect(done.value.load(ordering: .relaxed) == 500)
        #expect(strangers.value.load(ordering: .relaxed) == 0)
    }

    /// Pieces that sleep are work too: what is counted is that there was something to do.
    @Test func knowsHowBusyItsThreadsWere() async throws {
        let pool = WorkerPool(threads: 4)
        pool.run(4) { _, _ in usleep(100_000) }
        let share = pool.busyShare
        #expect(share > 0.3 && share <= 1.01, "\(share)")
        // The caller counts as busy, the three others do not.
        try await Task.sleep(for: .milliseconds(900))
        let later = pool.busyShare
        #expect(later > 0.24 && later < 0.5, "\(later)")
    }

    /// Several callers share a pool: each has its own indices and its own workers' numbers.
    @Test(.timeLimit(.minutes(10))) func callersMayRunAtOnce() {
        let pool = WorkerPool(threads: 3)
        let wrong = Counter()
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<200 {
                let done = (0..<20).map { _ in Counter() }
                pool.run(20) { worker, index in
                    if !(0..<3).contains(worker) { wrong.value.wrappingAdd(1, ordering: .relaxed) }
                    done[index].value.wrappingAdd(1, ordering: .relaxed)
                }
                if done.contains(where: { $0.value.load(ordering: .relaxed) != 1 }) { wrong.value.wrappingAdd(1, ordering: .relaxed) }
            }
        }
        #expect(wrong.value.load(ordering: .relaxed) == 0)
    }
}

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
}
