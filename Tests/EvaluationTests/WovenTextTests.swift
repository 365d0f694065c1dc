import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import ModelFormats
import Testing

@Suite struct WovenTextTests {
    private static func weave(seed: UInt64 = 1) throws -> (woven: WovenText, tokenizer: Tokenizer) {
        let tokenizer = try ModelDirectory(HaystackModel.modelDirectory.path).tokenizer()
        let book = try String(contentsOf: HaystackModel.texts[0], encoding: .utf8)
        let paragraphs = book.split(separator: "\n").prefix(400).map { String($0) + "\n" }
        return (
            try WovenText(
                paragraphs: paragraphs, tokenizer: tokenizer, length: 8192, seed: seed, texture: .init(length: 8192)),
            tokenizer
        )
    }

    /// Every question can be answered by a fact that stands before it.
    @Test func answersStandInTheTextBefore() throws {
        let (woven, tokenizer) = try Self.weave()
        #expect(woven.tokens.count <= 8192 && woven.answers.count > 20)
        for answer in woven.answers {
            let before = tokenizer.decode(Array(woven.tokens[..<answer.lowerBound]))
            let code = tokenizer.decode(Array(woven.tokens[answer])).trimming()
            let question = try #require(before.components(separatedBy: "Question: What is the secret code of ").last)
            let name = try #require(question.components(separatedBy: "?").first)
            #expect(before.contains("The secret code of \(name) is \(code)."))
        }
    }

    @Test func repetitionsStandInTheTextBefore() throws {
        let (woven, tokenizer) = try Self.weave()
        #expect(!woven.repetitions.isEmpty)
        for repetition in woven.repetitions {
            let before = tokenizer.decode(Array(woven.tokens[..<repetition.lowerBound]))
            #expect(before.contains(tokenizer.decode(Array(woven.tokens[repetition])).trimming()))
        }
    }

    @Test func theSeedDecides() throws {
        #expect(try Self.weave().woven == Self.weave().woven)
        #expect(try Self.weave().woven.tokens != Self.weave(seed: 2).woven.tokens)
    }
}

extension String {
    fileprivate func trimming() -> String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
