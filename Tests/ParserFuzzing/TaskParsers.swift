import AttentionCore
import AttentionTestSupport
import Evaluation
import Foundation

extension FuzzedParser {
    /// Files of tasks and of their prompts.
    static let taskParsers: [FuzzedParser] = [
        FuzzedParser(name: "task-file") { model in
            let rows = try rows.map { try JSONTree(parsing: Data($0.utf8)) }
            let reading = TaskFile.Reading(tokenizer: try model.tokenizer(), limits: [600, 700])
            return Prepared(samples: [Sample(rows), Sample([.list(rows)])] + rows.map { Sample([$0]) }) { path in
                for task in try TaskFile.read(path, reading: reading) {
                    _ = (TaskFile.line(task), task.answeredInPrefill.text.count)
                    guard case .question(let question) = task.content else { continue }
                    let score = question.scorer.score("Paragraph 3: kitchen, no.\nE\u{301}", question: question)
                    guard (0...1).contains(score) else { throw FuzzFailure(description: "a score of \(score)") }
                }
            }
        },
        FuzzedParser(name: "prompt-templates") { model in
            let templates = #"{"hotpotqa":"{context} {input}","qa1":"{context}{context}"}"#
            let tasks = try model.scratch.write(rows[4], to: "task.jsonl")
            let tokenizer = try model.tokenizer()
            return Prepared(samples: [try Sample(json: templates)]) { path in
                let templates = try PromptTemplates(contentsOf: path)
                _ = try TaskFile.read(
                    tasks, reading: .init(tokenizer: tokenizer, limits: [100], templates: templates))
            }
        },
    ]

    /// One of every kind: own questions and readings, LongBench, BABILong.
    private static let rows = [
        #"{"id":"1","task":"t","length":36,"text":"Call me Ishmael.","answers":[{"start":8,"end":15},{"start":0,"end":4}]}"#,
        #"{"id":"2","task":"t","length":12,"depth":0.5,"prompt":"Call me","answer":"Ishmael"}"#,
        #"{"id":"3","task":"t","length":12,"prompt":"p","answers":["a","b"],"scorer":"label","classes":["a","b"],"newTokens":5}"#,
        #"{"id":"4","task":"t","length":12,"prompt":"p","answers":["a b c","b"],"scorer":"rouge-l","onlyFirstLine":true}"#,
        #"{"_id":"a","input":"Who?","context":"0123456789 0123456789","answers":["b"],"dataset":"hotpotqa","all_classes":null,"length":3}"#,
        #"{"_id":"b","input":"Who?","context":"0123456789","answers":["b"],"dataset":"trec","all_classes":["a","b"],"language":"en"}"#,
        #"{"_id":"c","input":"?","context":"c","answers":["Paragraph 3"],"dataset":"passage_retrieval_en","all_classes":null}"#,
        #"{"_id":"d","input":"?","context":"c","answers":["3"],"dataset":"passage_count_e","all_classes":null}"#,
        #"{"input":"Mary went to the kitchen.","question":"Where is Mary?","target":"kitchen","task":"qa1"}"#,
        #"{"input":"Mary went to the kitchen.","question":"What does Mary carry?","target":"apple,milk","task":"qa8"}"#,
    ]
}
