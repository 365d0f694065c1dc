import AttentionCore
import AttentionTestSupport
import DurableFiles
import Foundation
import Testing

/// What a journal may hold, and what it may be begun over.
@Suite struct JournalRoomTests {
    private struct Header: JournalHeader {
        let work: String
        func difference(from other: Header) -> JournalDifference? { .first(of: [("work", work, other.work)]) }
    }

    private struct Record: Codable { let loss: Double }
    private typealias Journal = ResultJournal<Header, Record>

    private let scratch: Scratch
    private var path: String { scratch.file("journal.jsonl") }

    init() throws { scratch = try Scratch() }

    private func begin(_ work: String, resume: Bool = false) throws(InputError) -> Journal {
        try Journal(path: path, header: Header(work: work), resume: resume)
    }

    /// Work that failed before it measured anything has nothing to lose.
    @Test func aHeaderAloneBlocksNothing() throws {
        _ = try begin("first")
        try begin("second").append([Record(loss: 1)])
        #expect(try begin("second", resume: true).recorded.count == 1)
        let error = try #require(throws: InputError.self) { try begin("third") }
        #expect(error.code == .cannotCreate && error.remedy == .continueJournal)
        #expect(try scratch.read("journal.jsonl").hasPrefix(#"{"work":"second"}"#))
    }

    @Test(arguments: ["nonsense\n", "nonsense", #"{"other":1}"# + "\n"]) func otherFilesAreNotOverwritten(_ content: String) throws {
        try scratch.write(content, to: "journal.jsonl")
        #expect(throws: InputError.self) { try begin("work") }
        #expect(try scratch.read("journal.jsonl") == content)
    }

    @Test(arguments: [Double.nan, .infinity]) func numbersThatAreNotFiniteAreRefusedByName(_ loss: Double) throws {
        let journal = try begin("work")
        let before = try scratch.read("journal.jsonl")
        let error = try #require(throws: InputError.self) { try journal.append([Record(loss: 1), Record(loss: loss)]) }
        #expect(error.code == .invalidData && error.file == path && error.field == "loss" && error.value == "\(loss)")
        #expect(try scratch.read("journal.jsonl") == before, "no record of a refused batch is written")
    }

    @Test func aWrongFieldIsNamed() throws {
        try begin("work").append([Record(loss: 1)])
        try scratch.write(scratch.read("journal.jsonl") + #"{"loss":"much"}"# + "\n", to: "journal.jsonl")
        let error = try #require(throws: InputError.self) { try begin("work", resume: true) }
        #expect(error.field == "line 3, loss" && error.rule.hasSuffix("must be a number"), "\(error)")
    }
}
