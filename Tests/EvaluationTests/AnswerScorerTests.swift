import Evaluation
import Foundation
import Testing

/// Scores against `golden/scorers.json`, which `golden/scorers.py` computed with the reference packages.
@Suite struct AnswerScorerTests {
    struct Row: Decodable, Sendable, CustomTestStringConvertible {
        let scorer: AnswerScorer
        let answer: String
        let known, classes: [String]
        let onlyFirstLine: Bool
        let score: Double

        var testDescription: String { "\(scorer.rawValue): \(answer.debugDescription)" }
        var question: EvaluationTask.Question {
            .init(prompt: "p", answers: known, scorer: scorer, classes: classes, onlyFirstLine: onlyFirstLine)
        }
    }

    static let rows: [Row] = {
        let file = Bundle.module.bundleURL.appendingPathComponent("golden/scorers.json")
        guard let data = try? Data(contentsOf: file) else { return [] }
        return (try? JSONDecoder().decode([Row].self, from: data)) ?? []
    }()

    @Test(arguments: rows) func scoresAreThoseOfTheReference(_ row: Row) {
        let score = row.scorer.score(row.answer, question: row.question)
        #expect(abs(score - row.score) < 1e-12, "\(score), not \(row.score)")
    }

    @Test func everyPublishedScorerHasRows() {
        for scorer in AnswerScorer.allCases where scorer != .exactMatch {
            let scores = Self.rows.filter { $0.scorer == scorer }.map(\.score)
            #expect(scores.count >= 8 && scores.contains(0) && scores.contains { $0 > 0 }, "\(scorer)")
        }
    }

    /// Where a model may stop must not change what it scored.
    @Test(arguments: rows) func whatFollowsACompleteAnswerDoesNotCount(_ row: Row) {
        let question = row.question
        guard question.isComplete(row.answer) else { return }
        let more = row.answer + "\nParis City 7 kitchen " + row.known.joined(separator: " ")
        #expect(row.scorer.score(more, question: question) == row.scorer.score(row.answer, question: question))
    }

    @Test func linesDecideWhereAModelStops() {
        func question(_ scorer: AnswerScorer, onlyFirstLine: Bool = false) -> EvaluationTask.Question {
            .init(prompt: "p", answers: ["a"], scorer: scorer, onlyFirstLine: onlyFirstLine)
        }
        #expect(question(.exactMatch).isComplete("\n") && question(.exactMatch).isComplete("a\r\nb"))
        #expect(!question(.exactMatch).isComplete("a b"))
        #expect(!question(.f1, onlyFirstLine: true).isComplete("\n\na") && question(.f1, onlyFirstLine: true).isComplete("\na\n"))
        for scorer in AnswerScorer.allCases where !scorer.readsOneLine { #expect(!question(scorer).isComplete("a\nb\n")) }
        #expect(question(.exactMatch).scorer.score("a\r\nb", question: question(.exactMatch)) == 1)
    }

    /// One "é" is not the other, and a mark after a space is no white space.
    @Test func exactAnswersAreComparedByScalars() {
        func score(_ answer: String, _ known: String) -> Double {
            AnswerScorer.exactMatch.score(answer, question: .init(prompt: "p", answers: [known]))
        }
        #expect(score(" caf\u{E9} \nx", "caf\u{E9}") == 1 && score("cafe\u{301}", "caf\u{E9}") == 0)
        #expect(score("a \u{301}", "a") == 0)
    }
}
