import AttentionCore
import Foundation

/// A task as BABILong's files have it: a row of its data set, with the kind of task in the row or in the file's name.
///
/// Source: arXiv 2406.10149; the labels are those of its repository's `babilong/metrics.py`.
struct BABILongRow: Decodable {
    let input, question, target: String
    let task: String?

    /// Answers are labels; some models write a short sentence around them.
    private static let newTokens = 20

    /// - Parameter number: the row's, from 1.
    /// - Throws: `InputError` (`invalidData`) naming the row when its kind is not known, or the target is no label of it.
    func tasks(_ reading: TaskFile.Reading, number: Int, at place: TaskFile.Place) throws(InputError) -> [EvaluationTask] {
        let name = try name(at: place)
        guard let labels = Self.labels[name] else { throw place.refuse("task", name, "must be one of BABILong's qa1 to qa20") }
        let targets = Self.targets(target)
        let lowered = labels.map { $0.lowercased() }
        if let unknown = targets.first(where: { !lowered.contains($0) }) {
            throw place.refuse("target", unknown, "must be a label of \(name): \(labels.joined(separator: ", "))")
        }
        let template = try reading.templates?.template(for: name) ?? .question
        let asked = LabelMatch.lowered(question)
        return try reading.tasks(
            id: "\(number)", name: name,
            EvaluationTask.Question(
                prompt: template.filled(context: input, input: question), answers: targets, scorer: .label,
                classes: lowered.filter { !asked.contains(LabelMatch.lowered($0)) }, newTokens: Self.newTokens))
    }

    /// The first "qa" with a number in the task's field, or else in the file's name, or else in its folder's.
    private func name(at place: TaskFile.Place) throws(InputError) -> String {
        let path = URL(fileURLWithPath: place.file).pathComponents.suffix(2).reversed()
        for text in task.map({ [$0] }) ?? Array(path) {
            if let name = text.lowercased().firstMatch(of: /qa[0-9]+/) { return String(name.output) }
        }
        throw place.refuse("task", task, "must name the kind of task, such as qa1, or the file must")
    }

    /// One label, or several separated by commas; directions such as "n,e" are one.
    private static func targets(_ target: String) -> [String] {
        let target = target.lowercased()
        return target.unicodeScalars.count > 3 ? target.split(separator: ",").map(String.init) : [target]
    }

    private static let labels: [String: [String]] = {
        let places = ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"]
        let truth = ["no", "yes"]
        return [
            "qa1": places, "qa2": places, "qa3": places, "qa4": places,
            "qa5": ["Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk"],
            "qa6": truth,
            "qa7": ["none", "one", "three", "two"],
            "qa8": ["apple", "football", "milk", "nothing"],
            "qa9": truth, "qa10": ["maybe"] + truth,
            "qa11": places, "qa12": places, "qa13": places,
            "qa14": ["bedroom", "cinema", "kitchen", "office", "park", "school"],
            "qa15": ["cat", "mouse", "sheep", "wolf"],
            "qa16": ["gray", "green", "white", "yellow"],
            "qa17": truth, "qa18": truth,
            "qa19": ["e,e", "e,n", "e,s", "n,e", "n,n", "n,w", "s,e", "s,s", "s,w", "w,n", "w,s", "w,w"],
            "qa20": ["bedroom", "bored", "garden", "hungry", "kitchen", "thirsty", "tired"],
        ]
    }()
}
