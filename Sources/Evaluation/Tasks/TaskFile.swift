import AttentionCore
import Foundation

/// Tasks in JSON Lines: `{"id","task","length","prompt","answer"}` or `{"id","task","length","text","answers":[{"start","end"}]}`
/// with spans counted in Unicode scalars of `text`. A question with several answers has `answers`, a list of strings; `depth`,
/// `scorer`, `classes`, `onlyFirstLine` and `newTokens` may be left out.
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
        let depth: Double?
        let prompt, answer, text: String?
        let answers: Answers?
        let scorer: AnswerScorer?
        let classes: [String]?
        let onlyFirstLine: Bool?
        let newTokens: Int?

        /// Spans of a text, or the answers of a question.
        enum Answers: Codable {
            case spans([Span])
            case strings([String])

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let strings = try? container.decode([String].self), !strings.isEmpty {
                    self = .strings(strings)
                } else {
                    self = .spans(try container.decode([Span].self))
                }
            }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .spans(let spans): try container.encode(spans)
                case .strings(let strings): try container.encode(strings)
                }
            }
        }

        public init(_ task: EvaluationTask) {
            id = task.id
            self.task = task.name
            length = task.length
            depth = task.depth
            switch task.content {
            case .question(let question):
                (prompt, text) = (question.prompt, nil)
                (answer, answers) = question.answers.count == 1 ? (question.answers[0], nil) : (nil, .strings(question.answers))
                scorer = question.scorer == .exactMatch ? nil : question.scorer
                classes = question.classes.isEmpty ? nil : question.classes
                onlyFirstLine = question.onlyFirstLine ? true : nil
                newTokens = question.newTokens
            case .reading(let content, let spans):
                (prompt, answer, text) = (nil, nil, content)
                answers = .spans(spans.map { Span(start: $0.lowerBound, end: $0.upperBound) })
                (scorer, classes, onlyFirstLine, newTokens) = (nil, nil, nil, nil)
            }
        }

        func task(file: String, line: Int) throws(InputError) -> EvaluationTask {
            func refuse(_ field: String, _ value: String?, _ rule: String) -> InputError {
                InputError(.invalidData, file: file, field: "line \(line), \(field)", value: value, rule: rule)
            }
            guard length > 0 else { throw refuse("length", "\(length)", "must be positive") }
            if let depth, !(0...1).contains(depth) { throw refuse("depth", "\(depth)", "must be from 0 to 1") }
            if let newTokens, newTokens < 1 { throw refuse("newTokens", "\(newTokens)", "must be at least 1") }
            func task(_ content: EvaluationTask.Content) -> EvaluationTask {
                EvaluationTask(id: id, name: self.task, length: length, depth: depth, content: content)
            }
            if let prompt, let known {
                return task(
                    .question(
                        .init(
                            prompt: prompt, answers: known, scorer: scorer ?? .exactMatch, classes: classes ?? [],
                            onlyFirstLine: onlyFirstLine ?? false, newTokens: newTokens)))
            }
            guard let text, case .spans(let rows)? = answers else {
                throw refuse("prompt", nil, "a task has prompt and answer (or a list of answers), or text and spans of it")
            }
            let size = text.unicodeScalars.count
            var spans: [Range<Int>] = []
            for span in rows {
                guard 0 <= span.start, span.start < span.end, span.end <= size else {
                    throw refuse("answers", "\(span.start)..<\(span.end)", "must be a span of the \(size) characters of text")
                }
                spans.append(span.start..<span.end)
            }
            return task(.reading(text: text, answers: spans))
        }

        /// The known answers of a question.
        private var known: [String]? {
            if case .strings(let strings)? = answers { return strings }
            return answer.map { [$0] }
        }
    }
}
