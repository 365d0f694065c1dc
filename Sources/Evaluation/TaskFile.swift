import AttentionCore
import Foundation

/// A question with one right answer, or a text with answered questions all through it.
public struct EvaluationTask: Sendable, Hashable {
    public let id: String
    /// The kind of task, such as `needle`.
    public let name: String
    /// Prompt tokens, as the file's author counted them.
    public let length: Int
    public let content: Content

    public enum Content: Sendable, Hashable {
        /// Right when the greedy answer up to the newline, trimmed, equals `answer`.
        case question(prompt: String, answer: String)
        /// Right, each, when every token of the answer is the first choice given all that stands before it.
        case interleaved(text: String, answers: [Range<Int>])
    }

    public init(id: String, name: String, length: Int, content: Content) {
        self.id = id
        self.name = name
        self.length = length
        self.content = content
    }
}

/// Tasks in JSON Lines: `{"id","task","length","prompt","answer"}` or `{"id","task","length","text","answers":[{"start","end"}]}`
/// with spans counted in Unicode scalars of `text`.
public enum TaskFile {
    /// - Throws: `InputError` naming file, line, field and rule.
    public static func read(_ path: String) throws(InputError) -> [EvaluationTask] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the task file must be a readable file")
        }
        var tasks: [EvaluationTask] = []
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.isEmpty {
            let row: Row
            do {
                row = try JSONDecoder().decode(Row.self, from: Data(line))
            } catch {
                throw InputError(
                    .invalidData, file: path, field: "line \(index + 1)", rule: "must be a task object: \(reason(error))")
            }
            tasks.append(try row.task(file: path, line: index + 1))
        }
        guard !tasks.isEmpty else { throw InputError(.invalidData, file: path, rule: "must hold at least one task") }
        return tasks
    }

    /// One task as a line of such a file.
    public static func line(_ task: EvaluationTask) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and integers only, so encoding cannot fail.
        return try! encoder.encode(Row(task)) + Data("\n".utf8)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing"
        case DecodingError.typeMismatch(let type, let context), DecodingError.valueNotFound(let type, let context):
            "\(context.codingPath.map(\.stringValue).joined(separator: ".")) must be a \(type)"
        default: "broken JSON"
        }
    }

    /// A task as JSON has it.
    public struct Row: Codable, Sendable {
        struct Span: Codable { let start, end: Int }
        let id, task: String
        let length: Int
        let prompt, answer, text: String?
        let answers: [Span]?

        public init(_ task: EvaluationTask) {
            id = task.id
            self.task = task.name
            length = task.length
            switch task.content {
            case .question(let question, let expected):
                (prompt, answer, text, answers) = (question, expected, nil, nil)
            case .interleaved(let content, let spans):
                (prompt, answer, text) = (nil, nil, content)
                answers = spans.map { Span(start: $0.lowerBound, end: $0.upperBound) }
            }
        }

        func task(file: String, line: Int) throws(InputError) -> EvaluationTask {
            func refuse(_ field: String, _ value: String?, _ rule: String) -> InputError {
                InputError(.invalidData, file: file, field: "line \(line), \(field)", value: value, rule: rule)
            }
            guard length > 0 else { throw refuse("length", "\(length)", "must be positive") }
            if let prompt, let answer {
                return EvaluationTask(id: id, name: task, length: length, content: .question(prompt: prompt, answer: answer))
            }
            guard let text, let answers else { throw refuse("prompt", nil, "a task has prompt and answer, or text and answers") }
            let size = text.unicodeScalars.count
            var spans: [Range<Int>] = []
            for span in answers {
                guard 0 <= span.start, span.start < span.end, span.end <= size else {
                    throw refuse("answers", "\(span.start)..<\(span.end)", "must be a span of the \(size) characters of text")
                }
                spans.append(span.start..<span.end)
            }
            return EvaluationTask(id: id, name: task, length: length, content: .interleaved(text: text, answers: spans))
        }
    }
}
