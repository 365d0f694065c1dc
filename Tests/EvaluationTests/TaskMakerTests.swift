import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Evaluation
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

/// Each kind of task, its answer worked out again from what the prompt says.
@Suite struct TaskMakerTests {
    static func maker(_ model: LanguageModel) throws -> TaskMaker {
        TaskMaker(
            text: try EvaluationTests.haystack(), tokenizer: model.tokenizer)
    }

    static func tasks(_ kind: TaskKind, length: Int = 1024, count: Int = 3, seed: UInt64 = 5) throws -> [EvaluationTask] {
        try maker(EvaluationTests.load()).make(kind, length: length, count: count, seed: seed)
    }

    /// A prompt, and the lines of it that are no prose: those of a known form.
    static func parts(_ task: EvaluationTask) throws -> (question: EvaluationTask.Question, lines: [String], asked: String) {
        guard case .question(let question) = task.content else { throw InputError(.invalidData, rule: "must be a question") }
        let lines = question.prompt.components(separatedBy: "\n")
        #expect(lines.last == "Answer:")
        return (question, Array(lines.dropLast(2)), lines[lines.count - 2])
    }

    @Test(arguments: TaskKind.allCases, [1000, 2048]) func tasksFitAndTheSeedDecides(kind: TaskKind, length: Int) throws {
        let model = try EvaluationTests.load()
        let tasks = try Self.tasks(kind, length: length)
        #expect(try tasks == Self.tasks(kind, length: length))
        #expect(try tasks.map(\.content) != Self.tasks(kind, length: length, seed: 6).map(\.content))
        #expect(tasks.count == (kind.hasDepths ? 15 : 3) && Set(tasks.map(\.id)).count == tasks.count)
        for task in tasks {
            var text = task.text
            if case .question(let question) = task.content { text += " " + question.answers.joined(separator: ", ") + "\n" }
            let tokens = try model.promptTokens(for: text).count
            #expect(tokens <= length && Double(tokens) > 0.75 * Double(length), "\(task.id): \(tokens)")
            #expect(task.name == kind.rawValue && task.length == length)
        }
    }

    /// A text without newlines, or without spaces too, is cut where it must be.
    @Test(arguments: TaskKind.allCases, [" ", ""]) func oneLongLineIsEnough(kind: TaskKind, separator: String) throws {
        let model = try EvaluationTests.load()
        let words = try EvaluationTests.haystack().prefix(30_000).split(whereSeparator: \.isWhitespace).joined(separator: separator)
        let maker = TaskMaker(text: words, tokenizer: model.tokenizer)
        let length = 1024
        // Without spaces the paragraph to be copied takes more tokens than there is room for.
        if kind == .copy, separator.isEmpty {
            #expect(throws: InputError.self) { try maker.make(kind, length: length, count: 1, seed: 5) }
            return
        }
        let tasks = try maker.make(kind, length: length, count: 1, seed: 5)
        for task in tasks {
            let tokens = try model.promptTokens(for: task.text).count
            #expect(tokens <= length && tokens > 6 * length / 10, "\(task.id): \(tokens)")
        }
        #expect(try tasks == maker.make(kind, length: length, count: 1, seed: 5))
    }

    @Test(arguments: [TaskKind.needleSingle, .needleMultiKey]) func needlesStandAtTheirDepth(kind: TaskKind) throws {
        for task in try Self.tasks(kind, length: 2048) {
            let (question, lines, asked) = try Self.parts(task)
            let facts = lines.filter { $0.hasPrefix("The secret code of ") }
            #expect(facts.count == (kind == .needleSingle ? 1 : 8))
            let name = asked.replacing("Question: What is the secret code of ", with: "").dropLast()
            let place = try #require(lines.firstIndex(of: "The secret code of \(name) is \(question.answers[0])."))
            let before = lines[..<place].count { !$0.hasPrefix("The secret code of ") }
            let depth = Double(before) / Double(lines.count - facts.count)
            #expect(abs(depth - task.depth!) <= 0.5 / Double(lines.count - facts.count) + 1e-9, "\(task.id): \(depth)")
        }
    }

    @Test func severalValuesAreAllAskedFor() throws {
        for task in try Self.tasks(.needleMultiValue) {
            let (question, lines, asked) = try Self.parts(task)
            let name = asked.replacing("Question: What are all the secret codes of ", with: "").dropLast()
            let codes = lines.filter { $0.hasPrefix("The secret code of \(name) is ") }.map { String($0.suffix(6).prefix(5)) }
            #expect(question.answers == codes && codes.count == 4 && question.scorer == .recall)
        }
    }

    @Test func variablesFollowTheirChain() throws {
        for task in try Self.tasks(.variable, length: 2048) {
            let (question, lines, asked) = try Self.parts(task)
            var values: [Substring: Substring] = [:]
            for line in lines where line.hasPrefix("VAR ") {
                let words = line.dropLast().split(separator: " ")
                values[words[1]] = words[3] == "VAR" ? try #require(values[words[4]]) : words[3]
            }
            #expect(values.count == 8)
            #expect(question.answers == [String(values[asked.dropLast().split(separator: " ").last!]!)])
        }
    }

    @Test func storiesEndWhereTheLastMoveWent() throws {
        for task in try Self.tasks(.whereIsPerson) + Self.tasks(.whereIsObject, length: 2048) {
            let (question, lines, asked) = try Self.parts(task)
            var stands: [Substring: Substring] = [:]
            var carriers: [Substring: Substring] = [:]
            for line in lines {
                let words = line.dropLast().split(separator: " ")
                if line.contains(" moved to the ") { stands[words[0]] = words.last }
                if words.count == 4, words[1] == "took" { carriers[words[3]] = words[0] }
            }
            let who = asked.dropLast().split(separator: " ").last!
            #expect(question.answers[0] == stands[carriers[who] ?? who].map(String.init))
            if task.name == "babi-qa2" { #expect(carriers[who] != nil) }
        }
    }

    @Test func theMostFrequentWordIsAskedFor() throws {
        for task in try Self.tasks(.aggregation) {
            let (question, lines, _) = try Self.parts(task)
            let counts = Dictionary(grouping: lines.filter { $0.hasPrefix("The watchword is ") }) { $0 }.mapValues(\.count)
            #expect(counts.values.sorted() == [1, 2, 2, 3, 6])
            #expect(counts["The watchword is \(question.answers[0])."] == 6)
        }
    }

    @Test func interleavedAnswersStandEarlier() throws {
        for task in try Self.tasks(.interleaved, length: 2048) {
            guard case .reading(let text, let spans) = task.content else { return #expect(Bool(false)) }
            let scalars = Array(text.unicodeScalars)
            func string(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }
            #expect(spans.count > 8)
            for span in spans {
                let before = string(0..<span.lowerBound)
                let name = before.components(separatedBy: "What is the secret code of ").last!.components(separatedBy: "?")[0]
                #expect(before.hasSuffix("?\nAnswer:") && before.contains("The secret code of \(name) is\(string(span)).\n"))
            }
        }
    }

    @Test func copiesRepeatWholeParagraphs() throws {
        for task in try Self.tasks(.copy, length: 4096) {
            guard case .reading(let text, let spans) = task.content else { return #expect(Bool(false)) }
            let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
            let again = lines.indices.filter { lines[..<$0].contains(lines[$0]) }
            #expect(again.count >= 2)
            let words = again.reduce(0) { $0 + max(0, lines[$1].split(whereSeparator: \.isWhitespace).count - 8) }
            #expect(spans.count == words)
            let scalars = Array(text.unicodeScalars)
            let first = String(String.UnicodeScalarView(scalars[spans[0]]))
            #expect(first.hasPrefix(" ") && first.dropFirst().allSatisfy { !$0.isWhitespace } && first.count > 1)
            #expect(lines[again[0]].split(whereSeparator: \.isWhitespace)[8] == first.dropFirst())
        }
    }

    /// Questions have their answers in the text, so the dense model finds them; asked in the prefill, it finds the same.
    @Test func theModelAnswersWhatItWasTaught() throws {
        let model = try EvaluationTests.load()
        let evaluator = Evaluator(model: model, policy: .dense)
        for kind in [TaskKind.needleSingle, .needleMultiKey] {
            for task in try Self.tasks(kind, count: 1) {
                #expect(try evaluator.run(task).score == 1, "\(task.id)")
                #expect(try evaluator.run(task.answeredInPrefill).score == 1, "\(task.id)")
            }
        }
        let reading = try evaluator.run(Self.tasks(.interleaved, length: 2048, count: 1)[0])
        #expect(reading.score > 0.9 * Double(reading.asked))
        let copy = try evaluator.run(Self.tasks(.copy, length: 2048, count: 1)[0])
        #expect(copy.score > 0.1 * Double(copy.asked))
        #expect(try evaluator.run(Self.tasks(.perplexity, count: 1)[0]).asked == 0)
    }

    /// A model whose tokens are bytes.
    @Test(arguments: TaskKind.allCases) func anyTokenizerWillDo(kind: TaskKind) throws {
        let scratch = try Scratch()
        let tiny = try TinyModel(scratch)
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        let maker = TaskMaker(text: try EvaluationTests.haystack(), tokenizer: model.tokenizer)
        for task in try maker.make(kind, length: 6000, count: 1, seed: 1) {
            #expect(try model.promptTokens(for: task.text).count <= 6000)
        }
    }

    /// Lines end as they may.
    @Test func carriageReturnsEndLinesToo() throws {
        let model = try EvaluationTests.load()
        let text = try EvaluationTests.haystack()
        let other = TaskMaker(text: text.replacing("\n", with: "\r\n"), tokenizer: model.tokenizer)
        for kind in [TaskKind.needleSingle, .interleaved, .perplexity] {
            #expect(try other.make(kind, length: 1024, count: 1, seed: 5) == Self.tasks(kind, count: 1))
        }
    }

    @Test func whatCannotBeMadeIsRefused() throws {
        let model = try EvaluationTests.load()
        for kind in TaskKind.allCases where kind != .perplexity {
            #expect(throws: InputError.self, "\(kind)") { try Self.maker(model).make(kind, length: 20, count: 1, seed: 1) }
        }
        // A text that cannot fill the prompt.
        let poor = TaskMaker(text: "Short.\n", tokenizer: model.tokenizer)
        #expect(throws: InputError.self) { try poor.make(.needleSingle, length: 1024, count: 1, seed: 1) }
    }
}
