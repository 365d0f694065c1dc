import ArgumentParser
import AttentionBaselines
import AttentionCore
import AttentionKernels
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `compare`: several attentions on the same prompts, in turn, in one table.
struct CompareCommand: ModelCommand, SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Run several attentions on the same tasks and show accuracy, speed and mass side by side.",
        discussion: """
            Without --tasks, tasks are made from a text with the seed (see tasks): needles over a grid of depths, questions all through a \
            text, and the loss on plain text. Answers to be given word for word are scored in the prefill itself, each token given those \
            before it; --generate decodes them instead, with dense attention, which looks facts up for any prefill. Methods take turns on each prompt, so that noise of the machine hits them alike; times are medians, \
            speed-ups medians of the prompts' ratios. Retained mass is exact, over every query row of every head of one prompt a length, \
            measured in a pass of its own. --output DIR gets comparison.json, comparison.csv and report.html, with needle heat maps and \
            accuracy against time; a run that was stopped goes on with --resume.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var parameters: ParameterOptions
    @OptionGroup var made: TaskOptions
    @OptionGroup var cache: CacheOptions

    @Option(
        help: ArgumentHelp(
            """
            Attentions, comma-separated: any that --attention of other commands takes, and the groups rivals (other systems), variants \
            (of SampleAttention's selection) and all (dense, SampleAttention's own and rivals). Default: dense,sample and, where there is a \
            config, tuned.
            """))
    var methods: String?

    @Option(help: ArgumentHelp("Tuned config file (default: the bundled model's own).", valueName: "file"))
    var config: String?

    @Option(help: "Share of the pairs that each head keeps, in (0, 1], of all attentions but dense and tuned.")
    var density: Double?

    @Option(help: ArgumentHelp("Task file of any kind that evaluate takes; repeatable (default: tasks are made).", valueName: "file"))
    var tasks: [String] = []

    @Option(help: ArgumentHelp("Prompts of LongBench or BABILong tasks, as evaluate takes them.", valueName: "file"))
    var templates: String?

    @Flag(help: "Decode every answer, instead of scoring those in the prefill that must be given word for word.")
    var generate = false

    @Option(help: ArgumentHelp("Folder for comparison.json, comparison.csv and report.html.", valueName: "dir"))
    var output: String?

    @Flag(help: "Continue the comparison whose journal is in the output folder.")
    var resume = false

    func run() throws {
        if resume { try OutputDirectory.requireJournal(in: output, of: "comparison") }
        let cacheSettings = try cache.settings()
        if cacheSettings.eviction != nil, !generate {
            throw InputError(.usage, field: "evict", value: cache.evict, rule: "needs --generate: keys are dropped before decoding")
        }
        let session = try model.open()
        let choice = try AttentionChoice(config: config, density: density, parameters: parameters, session: session)
        let policies = try MethodList(methods, choice: choice).policies
        if parameters.areGiven, !policies.contains(where: { $0.name == "sample" }) {
            throw InputError(.usage, field: "methods", rule: "must have sample when parameters such as --alpha are given")
        }
        let own = try tasks(session).map { generate ? $0 : $0.answeredInPrefill }
        let comparison = ComparisonStudy(model: session.model, policies: policies, tasks: own, cache: cacheSettings)
        let directory = try Ranks.onRoot { try output.map { path throws(InputError) in try OutputDirectory(path) } }
        try directory?.reserve("comparison.json", "comparison.csv", "report.html")
        let header = try comparison.header(model: session.identity(), settings: choice.settings(of: policies), seed: session.seed)
        let journal = try directory.map { directory throws(InputError) in
            try ComparisonJournal(
                comparison: directory.file("journal.jsonl"), header: header, turns: comparison.turns, resume: resume)
        }
        try Ranks.agree(session, on: header.facts)
        let interruption = Interruption(journal, work: "a comparison")
        let start = ContinuousClock.now
        let records = try comparison.measured(journal: journal, label: "compare")
        guard Ranks.isRoot else { return }
        let result = ComparisonResult(
            model: try session.identity(),
            provenance: Provenance(
                kernel: session.kernel, seed: session.seed, texts: try sources(), lengths: Set(own.map(\.length)).sorted()),
            cache: comparison.cache, loadSeconds: session.loadSeconds, seconds: (ContinuousClock.now - start).seconds, records: records)
        try directory.map { directory throws(InputError) in try result.write(to: directory) }
        // Until here the journal holds everything; from here on nothing is left to continue.
        interruption.end()
        journal?.discard()
        if session.json { JSONOutput.print(result) } else { print(result.table, terminator: "") }
        if let directory, !session.json { print("\nWrote comparison.json, comparison.csv and report.html to \(directory.path)") }
    }

    /// The files that the tasks come from.
    private func sources() throws(InputError) -> [Provenance.Text] {
        try (tasks.isEmpty ? [made.textPath] : tasks).map { path throws(InputError) in
            .init(name: URL(fileURLWithPath: path).lastPathComponent, sha256: sha256(ofText: try TextFile.read(path)))
        }
    }

    private func tasks(_ session: Session) throws(InputError) -> [EvaluationTask] {
        guard !tasks.isEmpty else {
            if let templates { throw InputError(.usage, field: "templates", value: templates, rule: "needs --tasks") }
            return try made.tasks(session, standardKinds: [.needleMultiKey, .interleaved, .perplexity], standardCount: 2)
        }
        if made.isAsked { throw InputError(.usage, field: "tasks", value: tasks[0], rule: "a task file leaves nothing to make") }
        if let count = made.count { _ = try ParameterOptions.count(count, "count", atLeast: 1) }
        for length in made.length { try TextOptions.check(length, session: session) }
        return try TaskFile.read(tasks, lengths: made.length, count: made.count, model: session.model, templates: templates)
    }
}

extension ComparisonStudy {
    /// The records of all turns, with a progress bar.
    func measured(journal: ComparisonJournal?, label: String) throws -> [ComparisonRecord] {
        var bar: ProgressBar?
        defer { bar?.finish() }
        return try run(journal: journal, in: Ranks.group) { progress in
            if bar == nil { bar = ProgressBar(label, total: progress.total, alreadyDone: progress.done) }
            bar?.update(done: progress.done, status: progress.last.map { "\($0.policy.name) \($0.task.id)" } ?? "")
        }
    }
}

/// The attentions to compare.
private struct MethodList {
    let policies: [AttentionPolicy]

    /// - Parameter text: names and groups, comma-separated; nil for the usual ones.
    init(_ text: String?, choice: AttentionChoice) throws(InputError) {
        let words = text?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } ?? ["dense", "sample"]
        guard !words.isEmpty else { throw InputError(.usage, field: "methods", rule: "must name at least one attention") }
        let rivals = AttentionSystem.rivals.map(\.rawValue)
        let withoutConfig = AttentionChoice.ownNames.filter { $0 != "tuned" || choice.config != nil }
        var names = words.flatMap { word in
            switch word {
            case "all": withoutConfig + rivals
            case "rivals": rivals
            case "variants": AttentionSystem.variants.map(\.rawValue)
            default: [word]
            }
        }.withoutRepeats
        if text == nil, choice.config != nil { names.append("tuned") }
        if words.contains("all"), choice.config == nil {
            Message.write("note: tuned attention is left out: it needs the --config file that tune writes for a model")
        }
        policies = try names.map { name throws(InputError) in try choice.policy(named: name, field: "methods") }
    }
}
