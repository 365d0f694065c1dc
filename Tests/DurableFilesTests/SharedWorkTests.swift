import AttentionCore
import AttentionTestSupport
import DurableFiles
import Foundation
import ProcessGroups
import Synchronization
import Testing

/// Work that ranks share.
@Suite struct SharedWorkTests {
    private struct Square: Codable, Hashable {
        let number, square: Int
    }

    private typealias Executor = WorkExecutor<Int, Square>

    private static func square(_ number: Int) -> Square { Square(number: number, square: number * number) }

    /// Whatever the number of ranks: every item is measured once, by any rank, is kept on rank 0 before the end, and is known to all.
    @Test(arguments: [1, 2, 3, 5]) func everyItemIsMeasuredOnce(count: Int) throws {
        let measured = Mutex<[Int]>([]), kept = Mutex<[Square]>([]), told = Mutex<[Int]>([])
        let results = ThreadGroup.run(count) { group in
            let executor = Executor(recorded: [(4, Self.square(4))], in: group) { records throws(InputError) in
                kept.withLock { $0 += records }
            }
            let records = try executor.run(
                Array(0..<20), progress: { progress in told.withLock { $0.append(progress.done) } },
                measure: { number in
                    measured.withLock { $0.append(number) }
                    return Self.square(number)
                })
            // A second run has nothing left to share out.
            try executor.run(Array(0..<20)) { _ in throw InputError(.usage, rule: "is measured twice") }
            return records
        }
        for result in results { #expect(try result.get() == (0..<20).map(Self.square)) }
        let others = (0..<20).filter { $0 != 4 }
        #expect(measured.withLock { $0.sorted() } == others)
        #expect(kept.withLock { Set($0) } == Set(others.map(Self.square)))
        #expect(told.withLock { $0 } == Array(2...20))
    }

    /// What is longest is begun first, so that the last to end is short.
    @Test func theLongestItemsAreBegunFirst() {
        let first = Mutex<[Int]>([])
        let results = ThreadGroup.run(2) { group in
            try Executor(in: group).run([1, 5, 3, 5, 2], work: { $0 }) { number in
                first.withLock { $0.append(number) }
                // Long enough for the other rank to come in between.
                usleep(useconds_t(1000 * number))
                return Self.square(number)
            }
        }
        #expect(results.allSatisfy { (try? $0.get()) != nil })
        #expect(first.withLock { Set($0.prefix(2)) } == [5] && first.withLock { $0.last! } <= 2)
    }

    /// Each rank ends with the failure of one, whichever it is.
    @Test(arguments: [0, 1, 2]) func aFailureEndsAllRanks(failing: Int) {
        let hasFailed = Mutex(false)
        let results = ThreadGroup.run(3) { group in
            try Executor(in: group).run(Array(0..<30)) { number in
                if group.rank == failing {
                    hasFailed.withLock { $0 = true }
                    throw InputError(.invalidData, field: "item", rule: "cannot be measured")
                }
                // The others leave work for the one that fails.
                while !hasFailed.withLock(\.self) { usleep(100) }
                return Self.square(number)
            }
        }
        for result in results {
            guard case .failure(let error) = result else { continue }
            #expect((error as? CommonFailure)?.error.description == "item: cannot be measured", "\(error)")
        }
        #expect(results.allSatisfy { (try? $0.get()) == nil })
    }

    /// A disk that is full ends all ranks; nothing that was not kept is known.
    @Test func aRecordThatCannotBeKeptEndsAllRanks() {
        let results = ThreadGroup.run(2) { group in
            let executor = Executor(in: group) { _ throws(InputError) in throw InputError(.inputOutput, file: "journal", rule: "is full") }
            do { try executor.run(Array(0..<5)) { Self.square($0) } } catch let failure as CommonFailure {
                return (failure.error.description, executor.records.count)
            }
            return ("", 0)
        }
        for result in results { #expect((try? result.get()).map { $0 == ("journal: is full", 0) } == true) }
    }

    /// Rank 0's word on time is all ranks'.
    @Test func timeIsOverForAllRanks() throws {
        let asked = Mutex(0)
        let counts = try ThreadGroup.run(3) { group in
            let executor = Executor(in: group)
            let records = try executor.run(
                Array(0..<50),
                isOver: {
                    asked.withLock {
                        $0 += 1; return $0 > 7
                    }
                }, measure: { Self.square($0) })
            return records.count { $0 != nil }
        }.map { try $0.get() }
        #expect(counts == [7, 7, 7])
    }

    /// Ranks that were given other work find out.
    @Test func ranksWithOtherWorkEnd() {
        let results = ThreadGroup.run(2) { group in try Executor(in: group).run(Array(0..<(4 + group.rank))) { Self.square($0) } }
        for result in results {
            guard case .failure(let error) = result else { continue }
            #expect((error as? CommonFailure)?.error.description.contains("must have work for 4") == true, "\(error)")
        }
        #expect(results.allSatisfy { (try? $0.get()) == nil })
    }
}
