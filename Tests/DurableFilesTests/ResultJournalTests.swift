import AttentionCore
import DurableFiles
import Foundation
import Testing

private struct Work: JournalHeader, Equatable {
    var name = "work"

    func difference(from other: Work) -> JournalDifference? { .first(of: [("name", name, other.name)]) }
}

private struct Measurement: Codable, Hashable, Sendable {
    var number: Int
    var seconds = 0.5
    var text = ""
}

private typealias Journal = ResultJournal<Work, Measurement>

@Suite struct ResultJournalTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/journal.jsonl" }

    init() throws { directory = try TemporaryDirectory() }

    private func journal(_ header: Work = Work(), resume: Bool = false) throws(InputError) -> Journal {
        try Journal(path: path, header: header, resume: resume)
    }

    private func refusal(_ header: Work = Work(), resume: Bool = false) -> InputError? {
        do throws(InputError) {
            _ = try journal(header, resume: resume)
            return nil
        } catch {
            return error
        }
    }

    @Test func continuesWhereItStopped() throws {
        do {
            let first = try journal()
            try first.append([Measurement(number: 0), Measurement(number: 1)])
            try first.append([Measurement(number: 2)])
        }
        let second = try journal(resume: true)
        #expect(second.recorded.map(\.number) == [0, 1, 2])
        try second.append([Measurement(number: 3)])
        #expect(directory.text("journal.jsonl")?.split(separator: "\n").count == 5)
        #expect(directory.text("journal.jsonl")?.hasPrefix("{\"name\":\"work\"}\n") == true)
    }

    /// Every length that a crash can leave the last line in.
    @Test func halfLinesAreCutOff() throws {
        do { try journal().append([Measurement(number: 0), Measurement(number: 1)]) }
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let lines = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }
        for length in (lines[0] + 1)..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            let continued = try journal(resume: true)
            let complete = lines.count { $0 < length } - 1
            #expect(continued.recorded.map(\.number) == Array(0..<complete), "cut at \(length)")
            try continued.append((complete..<2).map { Measurement(number: $0) })
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole, "cut at \(length)")
        }
        // Half a header: nothing was measured.
        try whole.prefix(5).write(to: URL(fileURLWithPath: path))
        let begun = try journal(resume: true)
        #expect(begun.recorded.isEmpty)
        try begun.append([Measurement(number: 0), Measurement(number: 1)])
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
    }

    @Test func aBrokenLineBeforeTheLastIsRefused() throws {
        do { try journal().append([Measurement(number: 0), Measurement(number: 1)]) }
        let text = try #require(directory.text("journal.jsonl"))
        try text.replacingOccurrences(of: "\"number\":0", with: "\"number\":").write(toFile: path, atomically: false, encoding: .utf8)
        let error = try #require(refusal(resume: true))
        #expect(error.code == .invalidData && error.field == "line 2" && error.rule.hasSuffix("it is not valid JSON"))
        // Lines are counted as an editor counts them.
        try text.replacingOccurrences(of: "\n", with: "\n\n").write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try #require(refusal(resume: true)).field == "line 2")
    }

    @Test func otherWorkAndNoResumeAreRefused() throws {
        do { try journal().append([Measurement(number: 0)]) }
        #expect(refusal()?.code == .cannotCreate)
        let other = try #require(refusal(Work(name: "other"), resume: true))
        #expect(other.code == .configuration && other.field == "line 1, name" && other.value == "work")
        #expect(try journal(resume: true).recorded.count == 1)
    }

    /// Work that failed before its first result stands in nobody's way.
    @Test func aBareHeaderIsBegunAnew() throws {
        do { _ = try journal(Work(name: "other")) }
        do { try journal().append([Measurement(number: 7)]) }
        #expect(try journal(resume: true).recorded.map(\.number) == [7])
    }

    @Test func aSecondWriterIsRefused() throws {
        do {
            let first = try journal()
            for resume in [false, true] {
                let error = try #require(refusal(resume: resume))
                #expect(error.code == .cannotCreate && error.rule.hasPrefix("another process is writing this journal"))
            }
            try first.append([Measurement(number: 0)])
        }
        // The lock ends with its holder.
        #expect(try journal(resume: true).recorded.count == 1)
    }

    /// A file that its writer removed is not the file that the next one opens.
    @Test func afterTheEndTheNameIsFree() throws {
        let first = try journal()
        try first.append([Measurement(number: 0)])
        first.discard()
        #expect(directory.names.isEmpty)
        let second = try journal()
        try first.append([Measurement(number: 1)])
        try second.append([Measurement(number: 2)])
        withExtendedLifetime(first) {}
        #expect(directory.text("journal.jsonl")?.contains("\"number\":2") == true)
        #expect(directory.text("journal.jsonl")?.contains("\"number\":1") == false)
    }

    @Test func aSettledJournalIsNotWritten() throws {
        let journal = try journal()
        journal.settle()
        try journal.append([Measurement(number: 0)])
        #expect(directory.text("journal.jsonl") == "{\"name\":\"work\"}\n")
    }

    @Test func whatJSONCannotHoldIsRefused() throws {
        let journal = try journal()
        let error = #expect(throws: InputError.self) {
            try journal.append([Measurement(number: 0), Measurement(number: 1, seconds: .nan)])
        }
        #expect(error?.code == .invalidData)
        #expect(directory.text("journal.jsonl") == "{\"name\":\"work\"}\n")
    }

    @Test func onlyRegularFiles() throws {
        #expect(mkfifo(path, 0o600) == 0)
        #expect(refusal()?.code == .cannotCreate)
        let missing = #expect(throws: InputError.self) {
            try Journal(path: directory.path + "/no/journal.jsonl", header: Work(), resume: false)
        }
        #expect(missing?.code == .cannotCreate)
    }

    /// A limit on the file's size, reached in the middle of a line, in a process of its own.
    @Test func aFullDiskLeavesWholeLines() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/journal.jsonl"
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 10_000, rlim_max: .max)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            let journal = try Journal(path: path, header: Work(), resume: false)
            let record = Measurement(number: 1, text: String(repeating: "x", count: 900))
            var written = 0
            let error = #expect(throws: InputError.self) {
                while true {
                    try journal.append([record])
                    written += 1
                }
            }
            try #require(error?.code == .inputOutput && error?.file == path && written == 10)
            try #require(directory.text("journal.jsonl")?.split(separator: "\n").count == 11)
            try #require(directory.text("journal.jsonl")?.hasSuffix("}\n") == true)
            // Room again: the same journal goes on.
            limit.rlim_cur = .max
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            try journal.append([record])
            try #require(directory.text("journal.jsonl")?.split(separator: "\n").count == 12)
        }
    }

    /// Writers that are killed at random moments leave every record whose writing had ended, and none with a gap before it.
    @Test func killedWritersLoseNothing() async throws {
        var count = 0
        for _ in 0..<8 {
            // The child finds the folder by its parent's number.
            await #expect(processExitsWith: .signal(SIGKILL)) { try KilledWriter(parent: getppid()).run() }
            let writer = KilledWriter(parent: getpid())
            let journal = try Journal(path: writer.path, header: Work(), resume: true)
            #expect(journal.recorded.map(\.number) == Array(0..<journal.recorded.count))
            let acknowledged = (try? String(contentsOfFile: writer.acknowledged, encoding: .utf8)).flatMap { Int($0) } ?? 0
            #expect(journal.recorded.count >= max(count, acknowledged))
            count = journal.recorded.count
        }
        #expect(count > 0)
        KilledWriter(parent: getpid()).remove()
    }
}

/// Appends records of random lengths until it is killed after a few milliseconds.
private struct KilledWriter {
    let folder: String
    var path: String { folder + "/journal.jsonl" }
    /// How many records the journal had confirmed.
    var acknowledged: String { folder + "/acknowledged" }

    init(parent: pid_t) {
        folder = NSTemporaryDirectory() + "/killed-writer-\(parent)"
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    func run() throws {
        let journal = try Journal(path: path, header: Work(), resume: FileManager.default.fileExists(atPath: path))
        Thread.detachNewThread {
            usleep(.random(in: 2_000...40_000))
            kill(getpid(), SIGKILL)
        }
        for number in journal.recorded.count... {
            try journal.append([Measurement(number: number, text: String(repeating: "x", count: .random(in: 0...20_000)))])
            try AtomicFile.write("\(number + 1)", to: acknowledged)
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
