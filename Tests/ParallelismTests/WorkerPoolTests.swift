import Parallelism
import Synchronization
import Testing

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
        WorkerPool(threads: threads).run(2000) { worker, _ in
            if running[worker].value.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue != 0 {
                shared.value.wrappingAdd(1, ordering: .relaxed)
            }
            running[worker].value.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        #expect(shared.value.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [1, 3]) func mapsInOrder(threads: Int) {
        let pool = WorkerPool(threads: threads)
        #expect(pool.map(100) { "\($0)" } == (0..<100).map { "\($0)" })
        #expect(pool.map(0) { $0 }.isEmpty)
    }
}

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
}
