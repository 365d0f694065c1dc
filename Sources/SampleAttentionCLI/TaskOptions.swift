import ArgumentParser
import AttentionCore
import Evaluation

/// Tasks that a command makes from a text.
struct TaskOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Prompt length; repeatable (default: all of the task files, or 4096 16384).", valueName: "tokens"))
    var length: [Int] = []

    @Option(help: "Prompts of each kind and length, and for needles of each depth.")
    var count = 2

    func tasks(_ session: Session) throws -> [EvaluationTask] {
        _ = try ParameterOptions.count(count, "count", atLeast: 1)
        return try NeedleTasks(text: nil, session: session).make(lengths: length, count: count)
    }
}
