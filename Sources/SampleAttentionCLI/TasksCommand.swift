import ArgumentParser
import AttentionCore
import Evaluation
import Foundation

/// `tasks`: make long-context tasks from any text.
struct TasksCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks",
        abstract: "Make long-context tasks from a text: JSON Lines for evaluate and compare, on standard output.",
        discussion: """
            needle-single hides one fact in the text and asks it at the end, needle-multi-key several, needle-multi-value one name with \
            several codes; interleaved asks questions all through the text; variable, babi-qa1, babi-qa2 and aggregation need several \
            facts for one answer; copy repeats paragraphs; perplexity is the text as it is.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var made: TaskOptions

    @Flag(help: "Print the first prompt as plain text instead.")
    var promptOnly = false

    func run() throws {
        let session = try model.open()
        let tasks = try made.tasks(session, standardKinds: [.needleMultiKey], standardCount: 1)
        if session.json {
            JSONOutput.print(["tasks": tasks.map(TaskFile.Row.init)])
        } else if promptOnly {
            print(tasks[0].text, terminator: "")
        } else {
            for task in tasks { StandardOutput.write(TaskFile.line(task)) }
        }
    }
}
