import ArgumentParser
import AttentionCore
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention
import SampleStatistics

/// `evaluate`: task accuracy and perplexity with one attention.
struct EvaluateCommand: ModelCommand {
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
        let groups = try TaskGroups(files: tasks, lengths: length, count: count, session: session, templates: templates)
        let texts = try lossTexts(evaluator, session: session)
        let comparison = Comparison(
            model: session.model, policies: [policy], tasks: groups.groups.flatMap(\.tasks), cache: evaluator.cache, chunk: chunk,
            measuresMass: false)
        let directory = try output.map { path throws(InputError) in try OutputDirectory(path) }
        try directory?.reserve("evaluation.json")
        let journal = try directory.map { directory throws(InputError) in
            try ComparisonJournal(
                comparison: directory.file("journal.jsonl"),
                header: comparison.header(settings: try attention.settings(policy, session: session), session: session),
                turns: comparison.turns, resume: resume)
        }
        let interruption = Interruption(journal, work: "an evaluation")
        let scores = EvaluationResult.scores(try comparison.measure(journal: journal, label: "tasks"))
        let result = EvaluationResult(
            model: try session.identity(), provenance: session.provenance(lengths: length), attention: policy.name,
            tasks: scores, perplexity: try losses(texts, evaluator: evaluator))
        try directory?.write(JSONOutput.encode(result), to: "evaluation.json")
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
        return try PromptText.distinct(perplexity, session: session).flatMap { text in
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
            let loss = try evaluator.perplexity(text.windows) { progress.advance(status: "\(text.name), \(text.length) tokens") }
            return EvaluationResult.Loss(
                file: text.name, length: text.length, windows: windows, nll: loss.negativeLogLikelihood, density: loss.density,
                prefillSeconds: loss.prefillSeconds)
        }
    }
}

/// Tasks by kind and length, in file order.
struct TaskGroups {
    private(set) var groups: [(name: String, length: Int, tasks: [EvaluationTask])] = []

    /// - Parameter templates: a file of prompts for tasks of published benchmarks.
    init(files: [String], lengths: [Int], count: Int?, session: Session, templates: String? = nil) throws(InputError) {
        let reading = TaskFile.Reading(
            model: session.model, limits: lengths.isEmpty ? [session.model.configuration.maximumPositions] : Set(lengths).sorted(),
            templates: try templates.map { path throws(InputError) in try PromptTemplates(contentsOf: path) })
        for file in files {
            for task in try TaskFile.read(file, reading: reading) where lengths.isEmpty || lengths.contains(task.length) {
                add(task, count: count)
            }
        }
        guard files.isEmpty || !groups.isEmpty else {
            throw InputError(
                .usage, file: files[0], field: "length", value: lengths.map(String.init).joined(separator: ", "),
                rule: "no task has this length")
        }
        groups.sort { ($0.name, $0.length) < ($1.name, $1.length) }
    }

    /// Ascending, without repeats.
    var lengths: [Int] { Set(groups.map(\.length)).sorted() }

    init(_ tasks: [EvaluationTask]) { for task in tasks { add(task, count: nil) } }

    private mutating func add(_ task: EvaluationTask, count: Int?) {
        if let index = groups.firstIndex(where: { $0.name == task.name && $0.length == task.length }) {
            if groups[index].tasks.count < count ?? .max { groups[index].tasks.append(task) }
        } else {
            groups.append((task.name, task.length, [task]))
        }
    }
}

/// What `evaluate` prints.
struct EvaluationResult: Encodable {
    struct Score: Encodable {
        let task: String
        let length, of: Int
        let right, density, prefillSeconds, attentionSeconds, selectionSeconds: Double

        init(_ records: [ComparisonRecord]) {
            task = records[0].task
            length = records[0].length
            right = records.reduce(0) { $0 + $1.right }
            of = records.reduce(0) { $0 + $1.of }
            density = records.reduce(0) { $0 + $1.density } / Double(records.count)
            prefillSeconds = Quantiles.median(records.map(\.prefillSeconds))
            attentionSeconds = Quantiles.median(records.map(\.attentionSeconds))
            selectionSeconds = Quantiles.median(records.map(\.selectionSeconds))
        }
    }

    struct Loss: Encodable {
        let file: String
        let length, windows: Int
        let nll, density, prefillSeconds: Double
    }

    let model: ModelIdentity
    let provenance: Provenance
    let attention: String
    let tasks: [Score]
    let perplexity: [Loss]

    /// By task, then length.
    static func scores(_ records: [ComparisonRecord]) -> [Score] {
        let groups = Dictionary(grouping: records) { $0.task }
        return groups.keys.sorted().flatMap { task in
            let lengths = Dictionary(grouping: groups[task]!) { $0.length }
            return lengths.keys.sorted().map { Score(lengths[$0]!) }
        }
    }

    var tables: String {
        var text = "attention \(attention)\n"
        if !tasks.isEmpty {
            var table = TextTable(columns: [.left("task")] + ["length", "right", "of", "density", "prefill s"].map { .right($0) })
            for row in tasks {
                table.append([
                    row.task, "\(row.length)", NumberFormat.score(row.right), "\(row.of)", NumberFormat.percent(row.density),
                    NumberFormat.fixed(row.prefillSeconds, decimals: 3),
                ])
            }
            text += "\n" + table.text()
        }
        if !perplexity.isEmpty {
            var table = TextTable(columns: [.left("text")] + ["length", "nats a token", "density", "prefill s"].map { .right($0) })
            for row in perplexity {
                table.append([
                    row.file, "\(row.length)", NumberFormat.fixed(row.nll, decimals: 4), NumberFormat.percent(row.density),
                    NumberFormat.fixed(row.prefillSeconds, decimals: 3),
                ])
            }
            text += "\n" + table.text()
        }
        return text
    }
}
