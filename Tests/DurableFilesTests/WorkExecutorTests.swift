import AttentionCore
import AttentionTestSupport
import DurableFiles
import Foundation
import Testing

/// Work that is done once, whatever stops in between.
@Suite struct WorkExecutorTests {
    private struct Header: JournalHeader {
        var work = "squares"
        func difference(from other: Header) -> JournalDifference? { .first(of: [("work", work, other.work)]) }
    }

    private struct Square: Codable, Hashable {
        let number, square: Int
    }

    private struct Stop: Error {}
    private typealias Journal = ResultJournal<Header, Square>
    private typealias Executor = WorkExecutor<Int, Square>

    private let scratch: Scratch
    private var path: String { scratch.file("journal.jsonl") }

    init() throws { scratch = try Scratch() }

    private func executor(resume: Bool = false) throws -> Executor {
        Executor(journal: try Journal(path: path, header: Header(), resume: resume)) { $0.number }
    }

    private func square(_ number: Int) -> Square { Square(number: number, square: number * number) }

    @Test func doesInOrderWhatIsNotRecorded() throws {
        var measured: [Int] = []
        let executor = Executor(recorded: [(2, square(2))])
        let records = try executor.run([3, 2, 1]) { number in
            measured.append(number)
            return square(number)
        }
        #expect(measured == [3, 1] && records == [square(3), square(2), square(1)])
        try executor.run([1, 2, 3]) { _ in throw Stop() }
        #expect(executor.records == [1: square(1), 2: square(2), 3: square(3)] && executor[4] == nil)
    }

    /// A record is on the disk when the next item begins, and no record is used that is not.
    @Test func recordsAreOnTheDiskBeforeTheyAreUsed() throws {
        let executor = try executor()
        try executor.run([5, 6]) { number in
            let lines = try scratch.read("journal.jsonl").split(separator: "\n").count
            #expect(lines == number - 4)
            return square(number)
        }
        let full = Executor { _ throws(InputError) in throw InputError(.inputOutput, file: "journal", rule: "the disk is full") }
        #expect(throws: InputError.self) { try full.run([7]) { square($0) } }
        #expect(throws: InputError.self) { try full.record(of: 7) { square(7) } }
        #expect(full.records.isEmpty)
    }

    /// Wherever a run stops, the next one goes on there and ends with the same records.
    @Test(arguments: 0...4) func continuesFromWhereItStopped(stop: Int) throws {
        let items = [4, 3, 9, 7]
        do {
            try executor().run(items) { number in
                if number == items.dropFirst(stop).first { throw Stop() }
                return square(number)
            }
        } catch is Stop {}
        let executor = try executor(resume: true)
        #expect(executor.done(items) == stop)
        var measured: [Int] = []
        let records = try executor.run(items) { number in
            measured.append(number)
            return square(number)
        }
        #expect(measured == Array(items.dropFirst(stop)) && records == items.map(square))
        #expect(try scratch.read("journal.jsonl").split(separator: "\n").count == 5)
    }

    @Test func leavesTheRestOutWhenTimeIsOver() throws {
        var asked = 0
        let executor = Executor(recorded: [(1, square(1)), (4, square(4))])
        let records = try executor.run(
            [1, 2, 3, 4],
            isOver: {
                asked += 1
                return asked > 1
            }
        ) { square($0) }
        #expect(records == [square(1), square(2), nil, square(4)] && asked == 2)
    }

    @Test func reportsTheWorkThatIsDone() throws {
        var reports: [[Int]] = []
        let executor = Executor(recorded: [(10, square(10))])
        #expect(executor.done([10, 20, 30], work: { $0 }) == 10)
        try executor.run([30, 10, 20], work: { $0 }, progress: { reports.append([$0.item, $0.done, $0.total]) }) { square($0) }
        #expect(reports == [[30, 40, 60], [20, 60, 60]])
    }

    @Test func measuresTogetherWhatIsNotRecorded() throws {
        let executor = try executor()
        _ = try executor.record(of: 2) { square(2) }
        var asked = 0
        let isWhole = try executor.run(together: [1, 2, 3]) { missing in
            #expect(missing == [1, 3])
            // The third cannot be had.
            return [square(1), nil]
        }
        #expect(isWhole && executor[3] == nil && executor[1] == square(1))
        #expect(try scratch.read("journal.jsonl").split(separator: "\n").count == 3)
        func isOver() -> Bool {
            asked += 1
            return true
        }
        #expect(try executor.run(together: [1, 2], isOver: isOver) { _ in throw Stop() } && asked == 0)
        #expect(try !executor.run(together: [1, 3], isOver: isOver) { _ in throw Stop() } && asked == 1)
    }

    /// Of a record that stands twice, as after a stop between two machines, the later counts.
    @Test func theLaterOfTwoRecordsCounts() {
        #expect(Executor(recorded: [(1, square(7)), (1, square(1))])[1] == square(1))
    }
}
