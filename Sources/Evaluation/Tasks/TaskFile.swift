import AttentionCore
import Foundation

/// Tasks in JSON Lines: `{"id","task","length","prompt","answer"}` or `{"id","task","length","text","answers":[{"start","end"}]}`
/// with spans counted in Unicode scalars of `text`. A question with several answers has `answers`, a list of strings; `depth`,
/// `scorer`, `classes`, `onlyFirstLine` and `newTokens` may be left out.
///
/// LongBench's and BABILong's own rows are known by their fields (`context`, and `target`); all rows may be in one JSON list instead.
public enum TaskFile {
    /// - Parameter reading: how rows of published benchmarks become prompts; nil refuses them.
    /// - Throws: `InputError` naming file, line, field and rule.
    public static func read(_ path: String, reading: Reading? = nil) throws(InputError) -> [EvaluationTask] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the task file must be a readable file")
        }
        var tasks: [EvaluationTask] = []
        for (number, (row, place)) in try rows(data, file: path).enumerated() {
            switch row {
            case .own(let row): tasks.append(try row.task(at: place))
            case .longBench(let row): tasks += try row.tasks(known(reading, at: place), at: place)
            case .babiLong(let row): tasks += try row.tasks(known(reading, at: place), number: number + 1, at: place)
            }
        }
        guard !tasks.isEmpty else { throw InputError(.invalidData, file: path, rule: "must hold at least one task") }
        return tasks
    }

    private static func known(_ reading: Reading?, at place: Place) throws(InputError) -> Reading {
        guard let reading else {
            throw InputError(
                .unsupported, file: place.file, field: place.row, rule: "a benchmark's own task needs a tokenizer and a length here")
        }
        return reading
    }

    /// A row of any format.
    private enum AnyRow: Decodable {
        case own(Row), longBench(LongBenchRow), babiLong(BABILongRow)

        private enum Field: CodingKey { case context, target, prompt, text }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Field.self)
            if fields.contains(.prompt) || fields.contains(.text) {
                self = .own(try Row(from: decoder))
            } else if fields.contains(.context) {
                self = .longBench(try LongBenchRow(from: decoder))
            } else if fields.contains(.target) {
                self = .babiLong(try BABILongRow(from: decoder))
            } else {
                self = .own(try Row(from: decoder))
            }
        }
    }

    private static func rows(_ data: Data, file: String) throws(InputError) -> [(AnyRow, Place)] {
        func isBlank(_ byte: UInt8) -> Bool { " \t\r\n".utf8.contains(byte) }
        if data.first(where: { !isBlank($0) }) == UInt8(ascii: "[") { return try list(data, file: file) }
        var rows: [(AnyRow, Place)] = []
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy(isBlank) {
            let place = Place(file: file, row: "line \(index + 1)")
            do {
                rows.append((try JSONDecoder().decode(AnyRow.self, from: Data(line)), place))
            } catch {
                throw InputError(.invalidData, file: file, field: place.row, rule: "must be a task object: \(reason(error))")
            }
        }
        return rows
    }

    private static func list(_ data: Data, file: String) throws(InputError) -> [(AnyRow, Place)] {
        do {
            return try JSONDecoder().decode([AnyRow].self, from: data).enumerated().map { index, row in
                (row, Place(file: file, row: "row \(index + 1)"))
            }
        } catch {
            throw InputError(.invalidData, file: file, rule: "must be a list of task objects: \(reason(error))")
        }
    }

    /// One task as a line of such a file.
    public static func line(_ task: EvaluationTask) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and integers only, so encoding cannot fail.
        return try! encoder.encode(Row(task)) + Data("\n".utf8)
    }

    private static func reason(_ error: any Error) -> String {
        func name(_ path: [any CodingKey]) -> String {
            path.map { key in key.intValue.map { "row \($0 + 1)" } ?? key.stringValue }.joined(separator: ", ")
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
        case DecodingError.typeMismatch(let type, let context), DecodingError.valueNotFound(let type, let context):
            "\(name(context.codingPath)) must be a \(type)"
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

        func task(at place: Place) throws(InputError) -> EvaluationTask {
            guard length > 0 else { throw place.refuse("length", "\(length)", "must be positive") }
            if let depth, !(0...1).contains(depth) { throw place.refuse("depth", "\(depth)", "must be from 0 to 1") }
            if let newTokens, newTokens < 1 { throw place.refuse("newTokens", "\(newTokens)", "must be at least 1") }
            if scorer == .classification || scorer == .label, classes?.isEmpty ?? true {
                throw place.refuse("classes", nil, "must list what may be answered")
            }
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
                throw place.refuse("prompt", nil, "a task has prompt and answer (or a list of answers), or text and spans of it")
            }
            let size = text.unicodeScalars.count
            var spans: [Range<Int>] = []
            for span in rows {
                guard 0 <= span.start, span.start < span.end, span.end <= size else {
                    throw place.refuse("answers", "\(span.start)..<\(span.end)", "must be a span of the \(size) characters of text")
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
