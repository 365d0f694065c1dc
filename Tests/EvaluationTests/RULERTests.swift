import AttentionTestSupport
import Evaluation
import Foundation
import Testing

/// RULER's own rows: prompts as they are, scored by its string matches.
@Suite struct RULERTests {
    private func tasks(_ rows: [[String: Any]], file: String) throws -> [EvaluationTask] {
        let scratch = try Scratch()
        let path = scratch.file(file)
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        let lines = try rows.map { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) }
        try scratch.write(lines.joined(separator: "\n"), to: file)
        return try TaskFile.read(path)
    }

    @Test func rowsAreReadAsTheyAre() throws {
        let rows: [[String: Any]] = [
            ["index": 0, "input": "Needles… What are they?", "outputs": ["12", "34"], "length": 4021],
            ["index": 1, "input": "Which?", "outputs": ["56"], "length": 4096, "answer_prefix": " They are", "length_w_model_temp": 4100],
        ]
        let tasks = try tasks(rows, file: "4096/niah_multivalue/validation.jsonl")
        #expect(tasks.map(\.length) == [4096, 4096] && tasks.map(\.name) == ["niah_multivalue", "niah_multivalue"])
        let questions = try tasks.map { try PublishedRows.question($0) }
        #expect(questions.map(\.prompt) == ["Needles… What are they?", "Which? They are"])
        #expect(questions.map(\.answers) == [["12", "34"], ["56"]] && questions.map(\.newTokens) == [128, 128])
        #expect(questions.allSatisfy { $0.scorer == .recall && !$0.onlyFirstLine && !$0.isComplete("\n12\n") })
        #expect(questions[0].scorer.score("\n34", question: questions[0]) == 0.5)
    }

    @Test(
        arguments: [
            ("vt/validation.jsonl", "vt", 30, AnswerScorer.recall), ("cwe.jsonl", "cwe", 120, .recall),
            ("fwe/test.jsonl", "fwe", 50, .recall),
            ("qa_1/validation.jsonl", "qa_1", 32, .anyAnswer), ("mine.jsonl", "mine", nil, .recall),
        ] as [(String, String, Int?, AnswerScorer)])
    func theFileNamesTheKind(file: String, name: String, newTokens: Int?, scorer: AnswerScorer) throws {
        let task = try tasks([["index": 0, "input": "p", "outputs": ["x", "y"], "length": 100]], file: file)[0]
        let question = try PublishedRows.question(task)
        #expect(task.name == name && task.length == 128 && question.newTokens == newTokens && question.scorer == scorer)
        #expect(question.scorer.score("Y", question: question) == (scorer == .anyAnswer ? 1 : 0.5))
    }
}
