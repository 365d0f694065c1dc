import AttentionCore
import AttentionTestSupport
import Evaluation
import Foundation
import HaystackModel
import ModelFormats
import Testing

/// Rows as LongBench and BABILong have them, in files of their own.
struct PublishedRows {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    static let tokenizer: Tokenizer? = try? ModelFiles(HaystackModel.modelDirectory.path).tokenizer()

    static func reading(_ limits: [Int] = [4096], templates: PromptTemplates? = nil) throws -> TaskFile.Reading {
        .init(tokenizer: try #require(tokenizer), limits: limits, templates: templates)
    }

    static func line(_ fields: [String: Any?]) throws -> String {
        let data = try JSONSerialization.data(withJSONObject: fields.mapValues { $0 ?? NSNull() }, options: .sortedKeys)
        return String(decoding: data, as: UTF8.self)
    }

    static func longBench(_ dataset: String, context: String = "Some text.", with changes: [String: Any?] = [:]) throws -> String {
        let row: [String: Any?] = [
            "_id": "7f", "input": "Who?", "context": context, "answers": ["Paragraph 1", "Paul"], "length": 2, "dataset": dataset,
            "language": "en", "all_classes": ["Paul", "Person"],
        ]
        return try line(row.merging(changes) { $1 })
    }

    static func babiLong(_ changes: [String: Any?] = [:]) throws -> String {
        let row: [String: Any?] = [
            "input": "Mary went to the garden. It rained.", "question": "Where is Mary?", "target": "garden", "task": "qa1",
        ]
        return try line(row.merging(changes) { $1 })
    }

    /// What `TaskFile` reads from a file of that content, with a limit of 4096 tokens unless told.
    func read(_ content: String, name: String = "tasks.jsonl", _ reading: TaskFile.Reading? = nil) throws -> [EvaluationTask] {
        try TaskFile.read(scratch.write(content, to: name), reading: try reading ?? Self.reading())
    }

    static func question(_ task: EvaluationTask?) throws -> EvaluationTask.Question {
        guard case .question(let question)? = task?.content else { throw InputError(.internalFailure, rule: "must be a question") }
        return question
    }
}
