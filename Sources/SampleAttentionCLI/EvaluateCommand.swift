import ArgumentParser
import AttentionCore
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import ProcessGroups
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics
import StudyReports

/// `evaluate`: task accuracy and perplexity with one attention.
struct EvaluateCommand: ModelCommand, SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Score long-context tasks and perplexity.",
        discussion: """
            Task files are JSON Lines: {"id","task","length","prompt","answer"}, right when the greedy answer up to the newline equals \
            the answer; or {"id","task","length","text","answers":[{"start","end"}]}, where each span is right when all its tokens are \
            the first choice given what precedes them. Further fields: "answers" (a list of texts), "scorer" \
            (\(AnswerScorer.allCases.map(\.rawValue).joined(separator: ", "))), "classes", "onlyFirstLine", "newTokens", "depth".

            The files of LongBench (JSON Lines with "input", "context", "answers", "dataset", …; English datasets, lsht and \
            passage_retrieval_zh) and BABILong (JSON Lines or a JSON list with "input", "question", "target"; qa1 to qa20 in "task" or \
            the file's name) are read as they are and scored by their own rules. Their prompts are made for every --length (default: \
            the model's positions), without their middle where they are longer; --templates gives them other words, such as \
            LongBench's dataset2prompt.json. RULER's files ("input", "outputs", "length"; the kind is the file's name or its folder's, such \
            as niah_single_1/validation.jsonl) are read as they are; a row's length counts as the power of two that it fills.

            Perplexity windows are begin-of-text and the tokens from offset 0, stride, …
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var attention: AttentionOptions
    @OptionGroup var cache: CacheOptions

    @Option(help: ArgumentHelp("Task file; repeatable.", valueName: "file"))
    var tasks: [String] = []

    @Option(help: ArgumentHelp("Prompts of LongBench or BABILong tasks: {\"dataset\": \"… {context} … {input} …\"}.", valueName: "file"))
    var templates: String?

    @Option(help: ArgumentHelp("Text whose loss is measured; repeatable.", valueName: "file"))
    var perplexity: [String] = []

    @Option(help: ArgumentHelp("Only tasks of this length, and the perplexity window; repeatable.", valueName: "tokens"))
    var length: [Int] = []

    @Option(help: "Tasks of each kind and length at most (default: all).")
    var count: Int?

    @Option(help: "Perplexity windows.")
    var windows = 3

    @Option(help: "Tokens between the starts of perplexity windows.")
    var stride = 32768

    @Option(help: "Tokens the prefill takes at once (default: all).")
    var chunk: Int?

    @Option(help: ArgumentHelp("Folder for evaluation.json.", valueName: "dir"))
    var output: String?

    @Flag(help: "Continue the evaluation whose journal is in the output folder; losses of --perplexity are measured anew.")
    var resume = false

    func run() throws {
        if resume { try OutputDirectory.requireJournal(in: output, of: "evaluation") }
        guard !tasks.isEmpty || !perplexity.isEmpty else {
            throw InputError(.usage, field: "tasks", rule: "give --tasks or --perplexity")
        }
        if let count { _ = try ParameterOptions.count(count, "count", atLeast: 1) }
        if let chunk { _ = try ParameterOptions.count(chunk, "chunk", atLeast: 1) }
        _ = try ParameterOptions.count(windows, "windows", atLeast: 1)
        _ = try ParameterOptions.count(stride, "stride", atLeast: 1)
        let session = try model.open()
        let policy = try attention.policy(session)
        for length in length { try TextOptions.check(length, session: session) }
        let evaluator = Evaluator(model: session.model, policy: policy, chunk: chunk, cache: try cache.settings())
        let asked = try TaskFile.read(tasks, lengths: length, count: count, model: session.model, templates: templates)
        let texts = try lossTexts(evaluator, session: session)
        let comparison = ComparisonStudy(
            model: session.model, policies: [policy], tasks: asked, cache: evaluator.cache, chunk: chunk,
            measuresMass: false)
        let directory = try Ranks.onRoot { try output.map { path throws(InputError) in try OutputDirectory(path) } }
        try directory?.reserve("evaluation.json")
        let header = try comparison.header(
            model: session.identity(), settings: attention.settings(policy, session: session), seed: session.seed)
        let journal = try directory.map { directory throws(InputError) in
            try ComparisonJournal(
                comparison: directory.file("journal.jsonl"), header: header, turns: comparison.turns, resume: resume)
        }
        try Ranks.agree(session, on: header.facts + texts.map { SharedFact("text \($0.name)", sha256(ofJSON: $0.windows)) })
        let interruption = Interruption(journal, work: "an evaluation")
        let scores = EvaluationResult.scores(try comparison.measured(journal: journal, label: "tasks"))
        let losses = try losses(texts, evaluator: evaluator)
        guard Ranks.isRoot else { return }
        let result = EvaluationResult(
            model: try session.identity(), provenance: session.provenance(lengths: length), cache: evaluator.cache, chunk: chunk,
            attention: policy.name, tasks: scores, perplexity: losses)
        try directory?.write(JSONResult.encode(result), to: "evaluation.json")
        interruption.end()
        journal?.discard()
        if session.json { JSONOutput.print(result) } else { print(result.tables, terminator: "") }
    }

    /// A text's windows of one length.
    private struct LossText {
        let name: String
        let length: Int
        let windows: [[Int32]]
    }

    /// Made before anything is run: a text that is too short is known at once.
    private func lossTexts(_ evaluator: Evaluator, session: Session) throws -> [LossText] {
        let lengths = length.isEmpty ? [4096] : Set(length).sorted()
        return try TextOptions.distinct(perplexity, session: session).flatMap { text in
            try lengths.map { length in
                LossText(
                    name: text.name, length: length,
                    windows: try evaluator.windows(of: text.tokens, length: length, count: windows, stride: stride, file: text.path))
            }
        }
    }

    private func losses(_ texts: [LossText], evaluator: Evaluator) throws -> [EvaluationResult.Loss] {
        let progress = ProgressBar("perplexity", total: texts.count * windows)
        defer { progress.finish() }
        return try texts.map { text in
            let loss = try evaluator.perplexity(text.windows, in: Ranks.group) {
                progress.advance(status: "\(text.name), \(text.length) tokens")
            }
            return EvaluationResult.Loss(
                file: text.name, length: text.length, windows: windows, nll: loss.negativeLogLikelihood, density: loss.density,
                prefillSeconds: loss.prefillSeconds)
        }
    }
}
