import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import ModelFormats
import Testing

@Suite struct InterleavedTextTests {
    private static func make(seed: UInt64 = 1) throws -> (interleaved: InterleavedText, tokenizer: Tokenizer) {
        let tokenizer = try ModelFiles(HaystackModel.modelDirectory.path).tokenizer()
        let book = try String(contentsOf: HaystackModel.texts[0], encoding: .utf8)
        let paragraphs = book.split(separator: "\n").prefix(400).map { String($0) + "\n" }
        return (
            try InterleavedText(
                paragraphs: paragraphs, tokenizer: tokenizer, length: 8192, seed: seed, texture: .init(length: 8192)),
            tokenizer
        )
    }

    /// Every question can be answered by a fact that stands before it.
    @Test func answersStandInTheTextBefore() throws {
        let (interleaved, tokenizer) = try Self.make()
        #expect(interleaved.tokens.count <= 8192 && interleaved.answers.count > 20)
        for answer in interleaved.answers {
            let before = tokenizer.decode(Array(interleaved.tokens[..<answer.lowerBound]))
            let code = tokenizer.decode(Array(interleaved.tokens[answer])).trimming()
            let question = try #require(before.components(separatedBy: "Question: What is the secret code of ").last)
            let name = try #require(question.components(separatedBy: "?").first)
            #expect(before.contains("The secret code of \(name) is \(code)."))
        }
    }

    @Test func repetitionsStandInTheTextBefore() throws {
        let (interleaved, tokenizer) = try Self.make()
        #expect(!interleaved.repetitions.isEmpty)
        for repetition in interleaved.repetitions {
            let before = tokenizer.decode(Array(interleaved.tokens[..<repetition.lowerBound]))
            #expect(before.contains(tokenizer.decode(Array(interleaved.tokens[repetition])).trimming()))
        }
    }

    @Test func theSeedDecides() throws {
        #expect(try Self.make().interleaved == Self.make().interleaved)
        #expect(try Self.make().interleaved.tokens != Self.make(seed: 2).interleaved.tokens)
    }
}

extension String {
    fileprivate func trimming() -> String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
