import AttentionCore

/// How an answer is compared with the known ones: a score from 0 to 1.
///
/// `f1` to `edit-similarity` are LongBench's (arXiv 2308.14508), each the best over the known answers; `label` is BABILong's
/// (arXiv 2406.10149), `recall` and `any-answer` are RULER's (arXiv 2404.06654). Texts are compared by Unicode scalars, as the published
/// programs do, not by Swift's characters.
public enum AnswerScorer: String, Sendable, Hashable, NamedCase {
    /// The answer's first line, trimmed, is one of the known ones.
    case exactMatch = "exact-match"
    /// The share of the known answers that occur in the answer (`StringMatch`).
    case recall
    /// 1 when any of the known answers occurs in the answer (`StringMatch`).
    case anyAnswer = "any-answer"
    /// 2PR/(P + R) of the words that both texts have, without case, punctuation and articles (`TokenF1`).
    case f1
    /// ROUGE-L of the words that sentences of both texts have in the same order (`RougeL`).
    case rougeL = "rouge-l"
    /// One over the number of classes named in the answer when the right one is among them (`ClassificationScore`).
    case classification
    /// The share of the answer's numbers that are the number of the known paragraph (`NumberShare`).
    case retrieval
    /// The share of the answer's numbers that are the known one (`NumberShare`).
    case count
    /// How alike the answer's first line of code and the known one are (`EditSimilarity`).
    case editSimilarity = "edit-similarity"
    /// The labels in the answer's first sentence are the known answers, all of them and no other (`LabelMatch`).
    case label

    /// - Parameter answer: what the model wrote, as it is.
    public func score(_ answer: String, question: EvaluationTask.Question) -> Double {
        let answer = question.onlyFirstLine ? Self.firstFilledLine(answer) : answer
        func best(_ score: (String) -> Double) -> Double { question.answers.map(score).max() ?? 0 }
        return switch self {
        case .exactMatch: Self.isExact(answer, known: question.answers) ? 1 : 0
        case .recall: StringMatch.share(answer, known: question.answers)
        case .anyAnswer: StringMatch.share(answer, known: question.answers) > 0 ? 1 : 0
        case .f1: best { TokenF1.score(answer, known: $0) }
        case .rougeL: best { RougeL.score(answer, known: $0) }
        case .classification: best { ClassificationScore.score(answer, known: $0, classes: question.classes) }
        case .retrieval: best { known in NumberShare.paragraph(in: known).map { NumberShare.score(answer, number: $0) } ?? 0 }
        case .count: best { NumberShare.score(answer, number: Array($0.unicodeScalars)) }
        case .editSimilarity: best { EditSimilarity.score(answer, known: $0) }
        case .label: LabelMatch.score(answer, known: question.answers, classes: question.classes)
        }
    }

    /// True when nothing after the answer's first line is looked at, so that a model may stop there.
    public var readsOneLine: Bool {
        switch self {
        case .exactMatch: true
        case .recall, .anyAnswer, .f1, .rougeL, .classification, .retrieval, .count, .editSimilarity, .label: false
        }
    }

    private static func isExact(_ answer: String, known: [String]) -> Bool {
        let line = Array(Array(answer.unicodeScalars).prefix { $0 != "\n" }).trimmed
        return known.contains { Array($0.unicodeScalars) == line }
    }

    /// The first line after newlines at the beginning (LongBench's rule for few-shot tasks).
    static func firstFilledLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.drop { $0 == "\n" }.prefix { $0 != "\n" }))
    }
}

extension EvaluationTask.Question {
    /// True when nothing that a model may write after `answer` counts any more.
    public func isComplete(_ answer: String) -> Bool {
        guard onlyFirstLine || scorer.readsOneLine else { return false }
        return answer.unicodeScalars.drop { onlyFirstLine && $0 == "\n" }.contains("\n")
    }
}
