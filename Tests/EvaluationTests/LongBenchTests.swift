import AttentionCore
import AttentionTestSupport
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import SampleAttention
import Testing

/// LongBench's own rows as tasks.
@Suite struct LongBenchTests {
    private let files: PublishedRows

    init() throws { files = try PublishedRows() }

    struct Dataset: Sendable {
        let name: String
        let scorer: AnswerScorer
        let newTokens: Int
        var onlyFirstLine = false
    }

    /// Copied from the paper's table 1 and the repository's `dataset2maxlen.json` and `eval.py`.
    static let datasets = [
        Dataset(name: "narrativeqa", scorer: .f1, newTokens: 128), Dataset(name: "qasper", scorer: .f1, newTokens: 128),
        Dataset(name: "multifieldqa_en", scorer: .f1, newTokens: 64), Dataset(name: "hotpotqa", scorer: .f1, newTokens: 32),
        Dataset(name: "2wikimqa", scorer: .f1, newTokens: 32), Dataset(name: "musique", scorer: .f1, newTokens: 32),
        Dataset(name: "gov_report", scorer: .rougeL, newTokens: 512), Dataset(name: "qmsum", scorer: .rougeL, newTokens: 512),
        Dataset(name: "multi_news", scorer: .rougeL, newTokens: 512),
        Dataset(name: "trec", scorer: .classification, newTokens: 64, onlyFirstLine: true),
        Dataset(name: "triviaqa", scorer: .f1, newTokens: 32, onlyFirstLine: true),
        Dataset(name: "samsum", scorer: .rougeL, newTokens: 128, onlyFirstLine: true),
        Dataset(name: "lsht", scorer: .classification, newTokens: 64, onlyFirstLine: true),
        Dataset(name: "passage_count", scorer: .count, newTokens: 32),
        Dataset(name: "passage_retrieval_en", scorer: .retrieval, newTokens: 32),
        Dataset(name: "passage_retrieval_zh", scorer: .retrieval, newTokens: 32),
        Dataset(name: "lcc", scorer: .editSimilarity, newTokens: 64), Dataset(name: "repobench-p", scorer: .editSimilarity, newTokens: 64),
        Dataset(name: "hotpotqa_e", scorer: .f1, newTokens: 32),
        Dataset(name: "trec_e", scorer: .classification, newTokens: 64, onlyFirstLine: true),
    ]

    @Test(arguments: datasets) func longBenchFixesScorerAndNewTokens(_ dataset: Dataset) throws {
        let answers = dataset.scorer == .retrieval ? ["Paragraph 1", "段落2"] : ["one", "two"]
        let tasks = try files.read(PublishedRows.longBench(dataset.name, context: "The whole text", with: ["answers": answers]))
        #expect(tasks.count == 1 && tasks[0].name == dataset.name && tasks[0].length == 4096 && tasks[0].id == "\(dataset.name)-4096-7f")
        let question = try PublishedRows.question(tasks.first)
        #expect(question.scorer == dataset.scorer && question.newTokens == dataset.newTokens)
        #expect(question.onlyFirstLine == dataset.onlyFirstLine && question.answers == answers)
        #expect(question.classes == ["Paul", "Person"] && question.prompt.contains("The whole text"))
        let asks = !["gov_report", "multi_news", "passage_count"].contains(dataset.name)
        #expect(question.prompt.contains("Who?") == asks, "\(question.prompt)")
    }

    /// Few-shot prompts and code end where the model goes on, others with a word for what is wanted.
    @Test(arguments: [
        ("hotpotqa", "Who?\nAnswer:"), ("qmsum", "Who?\nAnswer:"), ("gov_report", "Summary:"), ("triviaqa", "text.\nWho?"),
        ("passage_count", "Answer:"), ("passage_retrieval_en", "Who?\n\nAnswer:"), ("passage_retrieval_zh", "答案："), ("lcc", "text.Who?"),
    ]) func longBenchPromptsEndWhereTheAnswerBegins(dataset: String, end: String) throws {
        let row = try PublishedRows.longBench(dataset, with: ["answers": ["Paragraph 1"]])
        #expect(try PublishedRows.question(files.read(row).first).prompt.hasSuffix(end))
    }

    @Test(arguments: ["multifieldqa_zh", "dureader", "vcsum"]) func chineseWordsAreRefused(_ dataset: String) throws {
        let error = try #require(throws: InputError.self) { try files.read(PublishedRows.longBench(dataset)) }
        #expect(error.code == .unsupported && error.field == "line 1, dataset" && error.value == dataset, "\(error)")
        #expect(error.rule.contains("word segmentation"))
    }

    /// The bundled model looks codes up: a LongBench row about one is answered, and its first line scored.
    @Test func theBundledModelAnswersALongBenchRow() throws {
        let model = try EvaluationTests.load()
        let fact = "The secret code of amber falcon is 40817.\n"
        let context = fact + (try EvaluationTests.haystack().prefix(9000))
        let file = try files.scratch.write(#"{"triviaqa": "{context}\n{input}"}"#, to: "templates.json")
        let row = try PublishedRows.longBench(
            "triviaqa", context: context,
            with: ["input": "Question: What is the secret code of amber falcon?\nAnswer:", "answers": ["12345", "40817"]])
        let path = try files.scratch.write(row, to: "triviaqa.jsonl")
        let reading = try TaskFile.Reading(model: model, limits: [512], templates: PromptTemplates(contentsOf: file))
        let task = try #require(try TaskFile.read(path, reading: reading).first)
        #expect(try model.promptTokens(for: task.text).count + 32 <= 512)
        let outcome = try Evaluator(model: model, policy: .dense).run(task)
        #expect(outcome.score == 1, "\(outcome.answer ?? "")")
        #expect(outcome.answer?.unicodeScalars.filter { $0 == "\n" }.count ?? 0 <= 1)
    }
}
