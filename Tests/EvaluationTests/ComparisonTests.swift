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

@Suite struct ComparisonTests {
    static func comparison() throws -> ComparisonStudy {
        let model = try EvaluationTests.load()
        let maker = try TaskMakerTests.maker(model)
        var tasks: [EvaluationTask] = []
        for length in [900, 700] {
            tasks += try maker.make(.interleaved, length: length, count: 1, seed: 1)
            tasks += try maker.make(.needleSingle, length: length, count: 1, seed: 1).map(\.answeredInPrefill)
        }
        var window = SampleAttentionParameters.window(tokens: 32, sinks: 4)
        window.denseLastRows = 0
        return ComparisonStudy(model: model, policies: [.dense, .fixed(window, name: "window")], tasks: tasks)
    }

    /// Masses are of the run that is timed: with keys in INT8 they differ a little from those in FP32.
    @Test func massesAreThoseOfTheCache() throws {
        let floats = try Self.comparison()
        let bytes = ComparisonStudy(
            model: floats.model, policies: [floats.policies[1]], tasks: [floats.tasks[0]], cache: .init(format: .int8))
        let exact = try #require(try floats.run(floats.turns[1]).meanMass)
        let rounded = try #require(try bytes.run(bytes.turns[0]).meanMass)
        #expect(exact != rounded && abs(exact - rounded) < 0.01)
    }

    @Test func methodsTakeTurnsAndRowsAddUp() throws {
        let comparison = try Self.comparison()
        let turns = comparison.turns
        #expect(turns.count == 24 && turns[0].task.length == 700 && turns[0].policy.name != turns[1].policy.name)
        #expect(turns.count(where: \.measuresMass) == 4, "one task a length and method")
        let records = try turns.map { try comparison.run($0) }
        let rows = ComparisonRow.rows(records)
        #expect(rows.count == 8)
        for row in rows {
            let own = records.filter { $0.method == row.method && $0.task == row.task && $0.length == row.length }
            #expect(row.score == own.reduce(0) { $0 + $1.score } && row.asked == own.reduce(0) { $0 + $1.asked })
            #expect(row.prefillSecondsRange[0] <= row.prefillSeconds && row.prefillSeconds <= row.prefillSecondsRange[1])
            if row.method == "dense" {
                #expect(row.scoreOverDense == 1 && row.speedUp == 1 && row.lossAboveDense == 0 && row.meanMass == 1 && row.density == 1)
            } else {
                #expect(row.meanMass! < 1 && row.density < 0.2 && row.nll! > 0)
            }
        }
        // The window sees the fact only where it stands right before the question; dense attention sees it anywhere.
        let cells = ComparisonCell.cells(records)
        #expect(cells.count == 2 * 2 * 5)
        #expect(cells.filter { $0.method == "dense" }.allSatisfy { $0.score == 1 })
        #expect(cells.filter { $0.method == "window" && $0.depth < 0.9 }.allSatisfy { $0.score == 0 })
    }

    /// A quotient that no number holds could not be written as JSON either.
    @Test func aDenseLossNextToNothingHasNoGrowth() throws {
        func record(_ method: String, loss: Double) throws -> ComparisonRecord {
            let json = """
                {"method": "\(method)", "id": "a", "task": "t", "length": 12, "score": 1, "asked": 1, "negativeLogLikelihood": \(loss),
                "prefillSeconds": 1, "attentionSeconds": 1, "selectionSeconds": 0, "density": 1}
                """
            return try JSONDecoder().decode(ComparisonRecord.self, from: Data(json.utf8))
        }
        let losses: [(dense: Double, own: Double, growth: Double?)] = [
            (2, 3, 0.5), (.leastNormalMagnitude, 1e9, nil), (0, 3, nil), (0, 0, nil),
        ]
        for (dense, own, growth) in losses {
            let rows = ComparisonRow.rows([try record("dense", loss: dense), try record("window", loss: own)])
            #expect(rows.first { $0.method == "window" }?.lossAboveDense == growth, "\(own) over \(dense)")
        }
    }

    @Test func journalsBelongToTheirWork() throws {
        let model = try EvaluationTests.load()
        func header(_ methods: String = "a", tasks: String = "b", threads: Int = 2) throws -> ComparisonHeader {
            ComparisonHeader(
                model: try model.identity(), methods: methods, tasks: tasks, instructionSet: "scalar", precision: "fp32", threads: threads)
        }
        #expect(try header().difference(from: header()) == nil)
        #expect(try header().difference(from: header("c"))?.field == "methods")
        #expect(try header().difference(from: header(tasks: "c"))?.field == "tasks")
        #expect(try header().difference(from: header(threads: 1))?.field == "threads")
    }

    /// Each line is the record of one turn; what no turn wrote is refused by line and field.
    @Test func continuesOnlyWithRecordsOfItsTurns() throws {
        let tiny = try TinyModel(Scratch())
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let tasks = ["a", "b"].map { id in
            EvaluationTask(id: id, name: "t", length: 12, content: .reading(text: "abc abc abc", answers: [4..<7]))
        }
        let comparison = ComparisonStudy(model: model, policies: [.dense, .fixed(.standard, name: "sample")], tasks: tasks)
        let turns = comparison.turns
        let header = ComparisonHeader(
            model: try model.identity(), methods: "m", tasks: "t", instructionSet: "any", precision: "fp32", threads: 1)
        let path = tiny.scratch.file("journal.jsonl")
        let written = try turns.map { try comparison.run($0) }
        try ComparisonJournal(comparison: path, header: header, turns: turns, resume: false).append(written)
        func reopen(_ turns: [ComparisonStudy.Turn]) throws -> [ComparisonRecord] {
            try ComparisonJournal(comparison: path, header: header, turns: turns, resume: true).recorded
        }
        #expect(try reopen(turns) == written)

        let lines = try tiny.scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        func refusal(_ line: Int, _ change: (inout [String: Any]) -> Void) throws -> String {
            var damaged = lines
            var record = try #require(JSONSerialization.jsonObject(with: Data(lines[line - 1].utf8)) as? [String: Any])
            change(&record)
            damaged[line - 1] = String(decoding: try JSONSerialization.data(withJSONObject: record), as: UTF8.self)
            try tiny.scratch.write(damaged.joined(separator: "\n") + "\n", to: "journal.jsonl")
            return try #require(#expect(throws: InputError.self) { try reopen(turns) }).description
        }
        #expect(try refusal(3) { $0["asked"] = Int.max }.contains("line 3, asked: 9223372036854775807"))
        #expect(try refusal(3) { $0["score"] = 1.5 }.contains("line 3, score: 1.5"))
        #expect(try refusal(2) { $0["method"] = "sparse" }.contains("line 2, method: sparse"))
        #expect(try refusal(4) { $0["id"] = "c" }.contains("line 4, id: c"))
        #expect(try refusal(5) { $0["length"] = 13 }.contains("line 5, length: 13"))
        #expect(try refusal(5) { $0["prefillSeconds"] = 0 }.contains("line 5, prefillSeconds: 0.0"))
        #expect(try refusal(5) { $0["negativeLogLikelihood"] = 1e300 }.contains("line 5, negativeLogLikelihood: 1e+300"))
        #expect(try refusal(2) { $0["density"] = 1.1 }.contains("line 2, density: 1.1"))
    }
}
