import AttentionCore

extension TaskFile {
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
                // The first element says what the others must be.
                var list = try decoder.unkeyedContainer()
                let isText = (try? list.decode(String.self)) != nil
                self = isText ? .strings(try container.decode([String].self)) : .spans(try container.decode([Span].self))
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
