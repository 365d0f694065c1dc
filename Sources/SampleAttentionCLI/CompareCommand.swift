import ArgumentParser
import AttentionCore
import Evaluation
import Foundation
import LanguageModels
import LinearAlgebra
import Reporting
import SampleAttention

/// `compare`: several attentions on the same prompts, in turn, in one table.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Run several attentions on the same tasks and show speed, mass and accuracy side by side.",
        discussion: """
            Without --tasks, needle prompts are made from a text with the seed. Methods take turns on each prompt, so that noise of the \
            machine hits them alike; times are medians. Retained mass is exact, over every query row of every head of one prompt a \
            length, measured in a pass of its own.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var parameters: ParameterOptions

    @Option(help: "Attentions, comma-separated: dense, sample, paper, tuned (default: dense,sample and, with --config, tuned).")
    var methods: String?

    @Option(help: ArgumentHelp("Tuned config file.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Task file (default: needle prompts from the second bundled book).", valueName: "file"))
    var tasks: String?

    @Option(help: ArgumentHelp("Prompt length; repeatable (default: all of the task file, or 4096 16384).", valueName: "tokens"))
    var length: [Int] = []

    @Option(help: "Prompts of each kind and length.")
    var count = 3

    func run() throws {
        _ = try ParameterOptions.count(count, "count", atLeast: 1)
        let session = try model.open()
        for length in self.length { try TextOptions.check(length, session: session) }
        let names =
            methods?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            ?? (["dense", "sample"] + (config == nil ? [] : ["tuned"]))
        guard !names.isEmpty else { throw InputError(.usage, field: "methods", rule: "must name at least one attention") }
        let policies = try names.map { name throws(InputError) in
            try AttentionOptions.policy(named: name, config: config, parameters: parameters, session: session)
        }
        let groups =
            try tasks.map { file throws(InputError) in try TaskGroups(files: [file], lengths: length, count: count, session: session) }
            ?? TaskGroups(NeedleTasks(text: nil, session: session).make(lengths: length, count: count))
        let rows = try compare(groups, policies: policies, session: session)
        let result = ComparisonResult(
            model: try session.identity(), provenance: session.provenance(lengths: groups.lengths), rows: rows)
        if session.json { JSONOutput.print(result) } else { print(result.table, terminator: "") }
    }

    private func compare(_ groups: TaskGroups, policies: [AttentionPolicy], session: Session) throws -> [ComparisonResult.Row] {
        let total = groups.groups.reduce(0) { $0 + $1.tasks.count + 1 } * policies.count
        let progress = ProgressBar("compare", total: total)
        defer { progress.finish() }
        var rows: [ComparisonResult.Row] = []
        for (name, length, tasks) in groups.groups {
            var outcomes = [[Evaluator.Outcome]](repeating: [], count: policies.count)
            for task in tasks {
                for (index, policy) in policies.enumerated() {
                    outcomes[index].append(try Evaluator(model: session.model, policy: policy).run(task))
                    progress.advance(status: "\(policy.name) \(task.id)")
                }
            }
            for (policy, outcomes) in zip(policies, outcomes) {
                let mass = try retainedMass(tasks[0], policy: policy, session: session)
                progress.advance()
                rows.append(
                    ComparisonResult.Row(
                        method: policy.name, score: EvaluationResult.Score(task: name, length: length, outcomes: outcomes),
                        meanMass: mass.mean, minMass: mass.minimum))
            }
        }
        return rows
    }

    private func retainedMass(_ task: EvaluationTask, policy: AttentionPolicy, session: Session) throws -> RetainedMassAudit {
        let tokens = try session.model.promptTokens(for: task.text)
        var audit = RetainedMassAudit(kernel: session.kernel, policy: policy)
        let cache = session.model.makeCache(capacity: tokens.count)
        _ = try session.model.prefill(tokens, cache: cache, policy: policy, observer: &audit)
        return audit
    }
}

/// What `compare` prints.
struct ComparisonResult: Encodable {
    struct Row: Encodable {
        let method, task: String
        let length, of: Int
        let right, prefillSeconds, attentionSeconds, selectionSeconds, density, meanMass, minMass: Double

        init(method: String, score: EvaluationResult.Score, meanMass: Double, minMass: Double) {
            self.method = method
            task = score.task
            length = score.length
            right = score.right
            of = score.of
            prefillSeconds = score.prefillSeconds
            attentionSeconds = score.attentionSeconds
            selectionSeconds = score.selectionSeconds
            density = score.density
            self.meanMass = meanMass
            self.minMass = minMass
        }
    }

    let model: TunedConfig.ModelIdentity
    let provenance: TunedConfig.Provenance
    let rows: [Row]

    var table: String {
        let titles = ["TTFT s", "× dense", "attention s", "selection s", "density", "mean mass", "min mass", "right"]
        var table = TextTable(columns: [.left("task"), .right("length"), .left("attention")] + titles.map { .right($0) })
        for row in rows {
            let dense = rows.first { $0.method == "dense" && $0.task == row.task && $0.length == row.length }
            table.append([
                row.task, "\(row.length)", row.method, NumberFormat.fixed(row.prefillSeconds, decimals: 3),
                dense.map { NumberFormat.fixed($0.prefillSeconds / row.prefillSeconds, decimals: 2) } ?? NumberFormat.missing,
                NumberFormat.fixed(row.attentionSeconds, decimals: 3), NumberFormat.fixed(row.selectionSeconds, decimals: 3),
                NumberFormat.percent(row.density), NumberFormat.fixed(row.meanMass, decimals: 4),
                NumberFormat.fixed(row.minMass, decimals: 4),
                NumberFormat.score(row.right, of: row.of),
            ])
        }
        return table.text()
    }
}
