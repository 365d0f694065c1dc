import AttentionCore
import LanguageModels
import ModelFormats

extension TaskFile {
    /// The tasks of several files, by kind and then length; within these in the files' order.
    ///
    /// - Parameters:
    ///   - lengths: takes tasks of these lengths only; all when empty.
    ///   - count: takes so many of each kind and length at most; nil takes all.
    ///   - templates: a file of prompts for tasks of published benchmarks.
    /// - Throws: `InputError` for files that are missing or broken, and when no task has one of the lengths.
    public static func read(
        _ files: [String], lengths: [Int], count: Int?, model: LanguageModel, templates: String? = nil
    ) throws(InputError) -> [EvaluationTask] {
        let reading = Reading(
            model: model, limits: lengths.isEmpty ? [model.description.maximumPositions] : Set(lengths).sorted(),
            templates: try templates.map { path throws(InputError) in try PromptTemplates(contentsOf: path) })
        var groups: [Group: [EvaluationTask]] = [:]
        for file in files {
            for task in try read(file, reading: reading) where lengths.isEmpty || lengths.contains(task.length) {
                let group = Group(name: task.name, length: task.length)
                if groups[group]?.count ?? 0 < count ?? .max { groups[group, default: []].append(task) }
            }
        }
        guard files.isEmpty || !groups.isEmpty else {
            throw InputError(
                .usage, file: files[0], field: "length", value: lengths.map(String.init).joined(separator: ", "),
                rule: "no task has this length")
        }
        return groups.sorted { ($0.key.name, $0.key.length) < ($1.key.name, $1.key.length) }.flatMap(\.value)
    }

    private struct Group: Hashable {
        let name: String
        let length: Int
    }
}
