import AttentionCore
import AttentionKernels
import AttentionTestSupport
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// A comparison is continued with records of its own turns only.
@Suite struct ComparisonJournalTests {
    private let scratch: Scratch
    private let path: String
    private let comparison: ComparisonStudy
    private let header: ComparisonHeader
    private let records: [ComparisonRecord]

    /// Two attentions on two tasks of a tiny model: four records.
    init() throws {
        let tiny = try TinyModel(Scratch())
        scratch = tiny.scratch
        path = scratch.file("journal.jsonl")
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let tasks = ["one", "two"].map { id in
            EvaluationTask(
                id: id, name: "reading", length: 64, content: .reading(text: String(repeating: "\(id) ", count: 16), answers: [4..<7]))
        }
        comparison = ComparisonStudy(
            model: model, policies: [.dense, .fixed(.window(tokens: 8, sinks: 1), name: "window")], tasks: tasks)
        header = ComparisonHeader(
            model: try model.identity(), methods: "m", tasks: "t", instructionSet: "any", precision: "fp32", threads: 1)
        records = try comparison.turns.map { [comparison] in try comparison.run($0) }
        try journal(resume: false).append(records)
    }

    private func journal(resume: Bool = true) throws(InputError) -> ComparisonJournal {
        try ComparisonJournal(comparison: path, header: header, turns: comparison.turns, resume: resume)
    }

    @Test func itsOwnRecordsAreAccepted() throws { #expect(try journal().recorded == records) }

    /// What stands behind the last turn is of no use to anybody.
    @Test func recordsBehindTheLastTurnAreCutOff() throws {
        try journal().append([records[0]])
        #expect(try journal().recorded == records)
        #expect(try scratch.read("journal.jsonl").split(separator: "\n").count == 5)
    }

    @Test(arguments: [
        ("\"method\":\"window\"", "\"method\":\"dense\"", "method"), ("\"id\":\"one\"", "\"id\":\"two\"", "id"),
        ("\"task\":\"reading\"", "\"task\":\"needle\"", "task"), ("\"length\":64", "\"length\":65", "length"),
        ("\"score\":", "\"score\":9", "score"), ("\"density\":", "\"density\":7", "density"),
        ("\"minMass\":", "\"minMass\":-1", "minMass"), ("\"prefillSeconds\":", "\"prefillSeconds\":-1", "prefillSeconds"),
    ]) func othersAreRefusedByLineAndField(found: String, damage: String, field: String) throws {
        var lines = try scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        try #require(lines[2].contains(found), "\(lines[2])")
        lines[2] = lines[2].replacingOccurrences(of: found, with: damage)
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "journal.jsonl")
        let error = #expect(throws: InputError.self) { try journal() }
        #expect(error?.code == .invalidData && error?.field == "line 3, \(field)", "\(String(describing: error))")
    }

    /// Ranks end turns in any order: each record is its own turn's, wherever it stands, and what is missing is measured.
    @Test func recordsMayStandInAnyOrder() throws {
        var lines = try scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        lines.swapAt(1, 3)
        lines.remove(at: 2)
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "journal.jsonl")
        let journal = try journal()
        #expect(journal.recorded == [records[2], records[0], records[3]])
        let run = try comparison.run(journal: journal)
        #expect(run.map(\.method) == records.map(\.method) && run.map(\.id) == records.map(\.id))
        #expect([0, 2, 3].allSatisfy { run[$0] == records[$0] } && run[1].negativeLogLikelihood == records[1].negativeLogLikelihood)
    }

    /// Two records of one turn are not two turns'.
    @Test func aTurnHasOneRecord() throws {
        var lines = try scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        lines[2] = lines[1]
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "journal.jsonl")
        let error = #expect(throws: InputError.self) { try journal() }
        #expect(error?.field == "line 3, method" && error?.code == .invalidData, "\(String(describing: error))")
    }
}
