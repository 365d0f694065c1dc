/// How an answer is compared with the known ones: a score from 0 to 1.
public enum AnswerScorer: String, Sendable, Hashable, CaseIterable, Codable {
    /// The answer's first line, trimmed, is one of the known ones.
    case exactMatch = "exact-match"
    /// The share of the known answers that occur in the answer (RULER's string match, arXiv 2404.06654).
    case recall

    /// - Parameter answer: what the model wrote, as it is.
    public func score(_ answer: String, question: EvaluationTask.Question) -> Double {
        switch self {
        case .exactMatch: question.answers.contains(Self.trimmed(Self.firstLine(answer))) ? 1 : 0
        case .recall: Double(question.answers.count(where: answer.contains)) / Double(question.answers.count)
        }
    }

    /// True when nothing after the answer's first line is looked at, so that a model may stop there.
    public var readsOneLine: Bool {
        switch self {
        case .exactMatch, .recall: true
        }
    }

    static func firstLine(_ text: String) -> Substring { text.prefix { $0 != "\n" } }

    static func trimmed(_ text: some StringProtocol) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
