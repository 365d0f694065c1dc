import AttentionCore
import Foundation

/// A task as RULER's own files have it: a prompt of a given length, and texts that the answer must name.
///
/// Source: arXiv 2404.06654; new tokens and metrics are those of `scripts/data/synthetic/constants.py` and
/// `scripts/eval/synthetic/constants.py` of its repository.
struct RULERRow: Decodable {
    let input: String
    let outputs: [String]
    let length: Int
    /// Begins the answer; newer files keep it apart from the input.
    let answerPrefix: String?

    private enum CodingKeys: String, CodingKey {
        case input, outputs, length
        case answerPrefix = "answer_prefix"
    }

    /// The prompt is taken as it is. Rows fill RULER's lengths, which are powers of two, but for a little.
    ///
    /// - Parameter number: the row's, from 1.
    /// - Throws: `InputError` (`invalidData`) naming the row for a length that is none, and without an output.
    func task(number: Int, at place: TaskFile.Place) throws(InputError) -> EvaluationTask {
        guard (1...1 << 40).contains(length) else { throw place.refuse("length", "\(length)", "must be positive") }
        guard !outputs.isEmpty else { throw place.refuse("outputs", nil, "must hold at least one text") }
        let name = Self.name(ofFile: place.file)
        let kind = Self.kinds.first { name.hasPrefix($0.prefix) }
        let filled = (0...40).lazy.map { 1 << $0 }.first { $0 >= length } ?? length
        return EvaluationTask(
            id: "\(name)-\(filled)-\(number)", name: name, length: filled,
            content: .question(
                .init(
                    prompt: input + (answerPrefix ?? ""), answers: outputs, scorer: kind?.scorer ?? .recall, newTokens: kind?.newTokens)))
    }

    private static let kinds: [(prefix: String, scorer: AnswerScorer, newTokens: Int)] = [
        ("niah", .recall, 128), ("vt", .recall, 30), ("cwe", .recall, 120), ("fwe", .recall, 50), ("qa", .anyAnswer, 32),
    ]

    /// The kind of task: files are called `niah_single_1/validation.jsonl` or `niah_single_1.jsonl`.
    private static func name(ofFile path: String) -> String {
        let url = URL(fileURLWithPath: path)
        let own = url.deletingPathExtension().lastPathComponent
        let folder = url.deletingLastPathComponent().lastPathComponent
        return ["validation", "test", "train"].contains(own) && kinds.contains { folder.hasPrefix($0.prefix) } ? folder : own
    }
}
