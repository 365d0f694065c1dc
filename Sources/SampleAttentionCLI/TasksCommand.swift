import ArgumentParser
import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import LanguageModels

/// `tasks`: make needle-in-a-haystack prompts from any text.
struct TasksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks", abstract: "Make needle prompts from a text: JSON Lines for evaluate and compare, on standard output.")

    @OptionGroup var model: ModelOptions

    @Option(help: ArgumentHelp("The haystack, UTF-8 (default: the second bundled book).", valueName: "file"))
    var text: String?

    @Option(help: ArgumentHelp("Prompt length with its answer; repeatable (default: 4096 16384).", valueName: "tokens"))
    var length: [Int] = []

    @Option(help: "Prompts of each length.")
    var count = 1

    @Option(help: "Facts in each prompt, one of which is asked.")
    var facts = 8

    @Flag(help: "Print the first prompt as plain text instead.")
    var promptOnly = false

    func run() throws {
        _ = try ParameterOptions.count(count, "count", atLeast: 1)
        let session = try model.open()
        let needles = try NeedleTasks(text: text, session: session)
        let tasks = try needles.make(lengths: length, count: count, facts: facts)
        if session.json {
            JSONOutput.print(["tasks": tasks.map(TaskFile.Row.init)])
        } else if promptOnly {
            print(tasks[0].text, terminator: "")
        } else {
            for task in tasks { StandardOutput.write(TaskFile.line(task)) }
        }
    }
}

/// Needle prompts for `tasks` and `compare`.
struct NeedleTasks {
    private let session: Session
    private let maker: NeedlePrompt

    /// - Parameter text: the haystack's file; nil for the second bundled book.
    init(text: String?, session: Session) throws(InputError) {
        self.session = session
        maker = NeedlePrompt(text: try PromptText.read(text ?? HaystackModel.texts[1].path), tokenizer: session.model.tokenizer)
    }

    /// `count` prompts of each length, ascending; the session's seed decides them.
    func make(lengths: [Int], count: Int, facts: Int = 8) throws(InputError) -> [EvaluationTask] {
        guard (1...NeedleFact.mostFacts).contains(facts) else {
            throw InputError(.usage, field: "facts", value: "\(facts)", rule: "must be from 1 to \(NeedleFact.mostFacts)")
        }
        var tasks: [EvaluationTask] = []
        for length in Set(lengths.isEmpty ? [4096, 16384] : lengths).sorted() {
            try TextOptions.check(length, session: session)
            for number in 0..<count { tasks.append(try maker.task(length: length, facts: facts, seed: session.seed, number: number)) }
        }
        return tasks
    }
}
