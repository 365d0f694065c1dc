import ArgumentParser
import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats

/// Tasks that a command makes from a text.
struct TaskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Kind of task; repeatable: \(TaskKind.allCases.map(\.rawValue).joined(separator: ", ")), or all.", valueName: "kind"))
    var kind: [String] = []

    @Option(help: ArgumentHelp("The text that tasks are put into, UTF-8 (default: the second bundled book).", valueName: "file"))
    var text: String?

    @Option(help: ArgumentHelp("Prompt length with its answer; repeatable (default: 4096 16384).", valueName: "tokens"))
    var length: [Int] = []

    @Option(
        help: ArgumentHelp("Prompts of each kind and length, of needles at each depth; of a task file all depths together.", valueName: "n")
    )
    var count: Int?

    @Option(
        help: ArgumentHelp(
            "Where the fact stands that is asked for, from 0 to 1; repeatable (default: 0 0.25 0.5 0.75 1).", valueName: "depth"))
    var depth: [Double] = []

    @Option(help: ArgumentHelp("Facts in a prompt: names with codes, variables, moves (default: 8).", valueName: "n"))
    var facts: Int?

    @Option(help: ArgumentHelp("Codes of the name that needle-multi-value asks for (default: 4).", valueName: "n"))
    var values: Int?

    /// The text's file.
    var textPath: String { text ?? HaystackModel.texts[1].path }

    /// True when any of the options was given that only tasks made here read.
    var isAsked: Bool { !kind.isEmpty || text != nil || !depth.isEmpty || facts != nil || values != nil }

    /// - Parameters:
    ///   - standardKinds: made when no kind is given.
    ///   - standardCount: made of each when no count is given.
    /// - Throws: `InputError` for a text too short for the lengths, and lengths the model does not have.
    func tasks(_ session: Session, standardKinds: [TaskKind], standardCount: Int) throws(InputError) -> [EvaluationTask] {
        let kinds = try kinds(standard: standardKinds)
        let settings = try settings(kinds: kinds)
        let each = try ParameterOptions.count(count ?? standardCount, "count", atLeast: 1)
        let usual = [4096, 16384].map { min($0, session.model.description.maximumPositions) }
        let lengths = Set(length.isEmpty ? usual : length).sorted()
        for length in lengths { try TextOptions.check(length, session: session) }
        let maker = TaskMaker(
            text: try TextFile.read(textPath), tokenizer: session.model.tokenizer)
        var tasks: [EvaluationTask] = []
        do throws(InputError) {
            for kind in kinds {
                for length in lengths {
                    tasks += try maker.make(kind, length: length, count: each, settings: settings, seed: session.seed)
                }
            }
        } catch  where error.field == "text" {
            throw InputError(error.code, file: textPath, field: error.field, value: error.value, rule: error.rule)
        }
        return tasks
    }

    private func kinds(standard: [TaskKind]) throws(InputError) -> [TaskKind] {
        var kinds: [TaskKind] = []
        for name in kind {
            if name == "all" {
                kinds += TaskKind.allCases
            } else {
                kinds.append(try ParameterOptions.choice(name, "kind"))
            }
        }
        return kinds.isEmpty ? standard : kinds.withoutRepeats
    }

    private func settings(kinds: [TaskKind]) throws(InputError) -> TaskMaker.Settings {
        var settings = TaskMaker.Settings()
        for depth in depth where !(0...1).contains(depth) {
            throw InputError(.usage, field: "depth", value: "\(depth)", rule: "must be from 0 to 1")
        }
        if !depth.isEmpty {
            guard kinds.contains(where: \.hasDepths) else {
                throw InputError(.usage, field: "depth", value: "\(depth[0])", rule: "needs --kind needle-single or needle-multi-key")
            }
            settings.depths = Set(depth).sorted()
        }
        if let facts { settings.facts = try ParameterOptions.count(facts, "facts", atLeast: 1, atMost: NeedleFact.mostFacts) }
        if let values {
            guard kinds.contains(.needleMultiValue) else {
                throw InputError(.usage, field: "values", value: "\(values)", rule: "needs --kind needle-multi-value")
            }
            settings.values = try ParameterOptions.count(values, "values", atLeast: 1, atMost: 64)
        }
        return settings
    }
}
