import AttentionCore
import AttentionKernels
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import SampleAttention
import Testing

@Suite struct ComparisonTests {
    static func comparison() throws -> Comparison {
        let model = try EvaluationTests.load()
        let maker = try TaskMakerTests.maker(model)
        var tasks: [EvaluationTask] = []
        for length in [900, 700] {
            tasks += try maker.make(.interleaved, length: length, count: 1, seed: 1)
            tasks += try maker.make(.needleSingle, length: length, count: 1, seed: 1).map(\.answeredInPrefill)
        }
        var window = SampleAttentionParameters.window(tokens: 32, sinks: 4)
        window.denseLastRows = 0
        return Comparison(model: model, policies: [.dense, .fixed(window, name: "window")], tasks: tasks)
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
            #expect(row.right == own.reduce(0) { $0 + $1.right } && row.of == own.reduce(0) { $0 + $1.of })
            #expect(row.prefillSecondsRange[0] <= row.prefillSeconds && row.prefillSeconds <= row.prefillSecondsRange[1])
            if row.method == "dense" {
                #expect(row.ofDense == 1 && row.speedUp == 1 && row.lossAboveDense == 0 && row.meanMass == 1 && row.density == 1)
            } else {
                #expect(row.meanMass! < 1 && row.density < 0.2 && row.nll! > 0)
            }
        }
        // The window sees the fact only where it stands right before the question; dense attention sees it anywhere.
        let cells = ComparisonCell.cells(records)
        #expect(cells.count == 2 * 2 * 5)
        #expect(cells.filter { $0.method == "dense" }.allSatisfy { $0.right == 1 })
        #expect(cells.filter { $0.method == "window" && $0.depth < 0.9 }.allSatisfy { $0.right == 0 })
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
        let comparison = try Self.comparison()
        let record = try comparison.run(comparison.turns[2])
        #expect(try JSONDecoder().decode(ComparisonRecord.self, from: JSONEncoder().encode(record)) == record)
    }
}
