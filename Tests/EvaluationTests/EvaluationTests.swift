import AttentionCore
import AttentionKernels
import Evaluation
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

@Suite struct EvaluationTests {
    static func load() throws -> LanguageModel {
        try LanguageModel.load(from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
    }

    static func haystack() throws -> String { try String(contentsOf: HaystackModel.texts[1], encoding: .utf8) }

    /// The answer's own tokens decide: the same text with the digits changed is wrong.
    @Test func interleavedAnswersAreScoredByFirstChoices() throws {
        let model = try Self.load()
        let story = try Self.haystack().prefix(1500)
        func task(_ told: String, _ answered: String) -> EvaluationTask {
            let lead =
                "\(story)\nThe secret code of amber falcon is \(told).\né\nQuestion: What is the secret code of amber falcon?\nAnswer:"
            let start = lead.unicodeScalars.count
            return EvaluationTask(
                id: "x", name: "interleaved", length: 512,
                content: .reading(text: lead + " \(answered)\nMore.", answers: [start..<start + 6]))
        }
        let evaluator = Evaluator(model: model, policy: .dense)
        #expect(try evaluator.run(task("40817", "40817")).score == 1)
        #expect(try evaluator.run(task("40817", "40818")).score == 0)
    }

    /// The window protocol by hand: begin-of-text and the tokens from the offset.
    @Test func perplexityWindowsBeginWhereTheyShould() throws {
        let model = try Self.load()
        let tokens = model.tokenizer.encode(String(try Self.haystack().prefix(20_000)))
        let evaluator = Evaluator(model: model, policy: .dense)
        let loss = try evaluator.perplexity(evaluator.windows(of: tokens, length: 200, count: 2, stride: 700, file: "x"))
            .negativeLogLikelihood
        let byHand = try [0, 700].map { try model.score([0] + tokens[$0..<$0 + 199], policy: .dense).negativeLogLikelihood }
        #expect(abs(loss - (byHand[0] + byHand[1]) / 2) < 1e-9)
        #expect(throws: InputError.self) { try evaluator.windows(of: tokens, length: 200, count: 2, stride: 1 << 20, file: "x") }
    }

    @Test func auditFindsAllMassInDenseAndLessInSparse() throws {
        let model = try Self.load()
        let tokens = Array([0] + model.tokenizer.encode(String(try Self.haystack().prefix(4000)))[..<700])
        func audit(_ policy: AttentionPolicy) throws -> RetainedMassAudit {
            var audit = RetainedMassAudit(kernel: model.kernel, policy: policy)
            _ = try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: policy, observer: &audit)
            return audit
        }
        let dense = try audit(.dense)
        #expect(dense.heads.count == 48 && dense.mean == 1 && dense.minimum == 1)
        let sparse = try audit(.fixed(.standard, name: "sample"))
        #expect(sparse.mean > 0.9 && sparse.mean < 1 && sparse.minimum < sparse.mean)
    }

    @Test func taskLinesReadBackAsTheyWere() throws {
        let tasks = [
            EvaluationTask(id: "a", name: "needle", length: 9, depth: 0.5, content: .question(.init(prompt: "é\n\"q\"", answers: ["1"]))),
            EvaluationTask(
                id: "c", name: "values", length: 9,
                content: .question(
                    .init(prompt: "p", answers: ["1", "2"], scorer: .recall, classes: ["1"], onlyFirstLine: true, newTokens: 3))),
            EvaluationTask(id: "b", name: "interleaved", length: 8, content: .reading(text: "abcé", answers: [0..<2, 3..<4])),
        ]
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        // Blank lines between them, as editors and other systems leave them, are passed over.
        try tasks.reduce(Data()) { $0 + TaskFile.line($1) + Data(" \t\r\n\n".utf8) }.write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        #expect(try TaskFile.read(url.path) == tasks)
    }

    @Test(arguments: [
        ("{\"id\":\"a\"}\n", "line 1"), ("{\"id\":\"a\",\"task\":\"t\",\"length\":5,\"prompt\":\"p\",\"answer\":\"a\"}\n{", "line 2"),
        ("{\"id\":\"a\",\"task\":\"t\",\"length\":5,\"text\":\"abc\",\"answers\":[{\"start\":1,\"end\":4}]}", "answers"),
        ("{\"id\":\"a\",\"task\":\"t\",\"length\":5,\"text\":\"abc\",\"answers\":[{\"start\":2,\"end\":2}]}", "answers"),
        ("{\"id\":\"a\",\"task\":\"t\",\"length\":0,\"prompt\":\"p\",\"answer\":\"a\"}", "length"), ("\n\n", ""),
        ("{\"id\":\"a\",\"task\":\"t\",\"length\":1,\"prompt\":\"p\",\"answer\":\"a\",\"scorer\":\"label\"}", "classes"),
    ]) func brokenTaskFilesAreRefused(content: String, field: String) throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(content.utf8).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let error = try #require(throws: InputError.self) { try TaskFile.read(url.path) }
        #expect(field.isEmpty || (error.field ?? "").contains(field), "\(error)")
    }
}
