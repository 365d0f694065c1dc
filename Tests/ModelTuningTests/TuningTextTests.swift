import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import ModelFormats
import ModelTuning
import Testing

@Suite struct TuningTextTests {
    private let tokenizer: Tokenizer
    private let content: String

    init() throws {
        let folder = HaystackModel.modelDirectory.path
        tokenizer = try Tokenizer(path: folder + "/tokenizer.json", settingsPath: folder + "/tokenizer_config.json")
        content = String(try String(contentsOf: HaystackModel.texts[1], encoding: .utf8).prefix(60_000))
    }

    private var text: TuningText { TuningText(content, name: "book", path: "book.txt", tokenizer: tokenizer) }

    /// An answer's tokens say the code of a fact that stands before it, after the question for it.
    @Test(arguments: [1, 2, 3] as [UInt64]) func everyAnswerCanBeLookedUp(seed: UInt64) throws {
        let prompt = try text.interleaved(length: 2048, seed: seed, number: 0)
        #expect(prompt.tokens.count <= 2048 && prompt.tokens.count > 1900 && [prompt.tokens[0]] == tokenizer.affixes.before)
        #expect(prompt.answers.count > 15)
        for answer in prompt.answers {
            let code = tokenizer.decode(Array(prompt.tokens[answer])).trimmingCharacters(in: .whitespaces)
            let before = tokenizer.decode(Array(prompt.tokens[..<answer.lowerBound]))
            #expect(code.count == 5 && code.allSatisfy(\.isNumber), "seed \(seed): \(code)")
            let name = try #require(before.components(separatedBy: "secret code of ").last?.components(separatedBy: "?").first)
            #expect(before.contains("The secret code of \(name) is \(code)."), "seed \(seed): \(name) \(code)")
        }
    }

    /// What comes again stands in the text before, word for word.
    @Test func repetitionsStandEarlier() throws {
        let prompt = try text.interleaved(length: 4096, seed: 5, number: 0)
        #expect(prompt.repetitions.count >= 2)
        for span in prompt.repetitions {
            let again = tokenizer.decode(Array(prompt.tokens[span]))
            #expect(tokenizer.decode(Array(prompt.tokens[..<span.lowerBound])).contains(again), "\(again)")
        }
    }

    @Test func theSameSeedInterleavesTheSame() throws {
        let first = try text.interleaved(length: 1024, seed: 1, number: 0)
        #expect(try text.interleaved(length: 1024, seed: 1, number: 0).tokens == first.tokens)
        #expect(try text.interleaved(length: 1024, seed: 2, number: 0).tokens != first.tokens)
        #expect(try text.interleaved(length: 1024, seed: 1, number: 1).tokens != first.tokens)
    }

    @Test func plainPromptsAreThePlacesAskedFor() throws {
        let all = tokenizer.encode(content)
        #expect(try text.plain(length: 100, position: 0).tokens == [0] + all[..<99])
        #expect(try text.plain(length: 100, position: 1).tokens == [0] + all.suffix(99))
        #expect(throws: InputError.self) { try text.plain(length: all.count + 2, position: 0) }
        #expect(throws: InputError.self) {
            try TuningText("", name: "e", path: "e", tokenizer: tokenizer).interleaved(length: 1024, seed: 1, number: 0)
        }
    }

    /// What is checked on is not what was tuned on.
    @Test func partsShareNothing() throws {
        let parts = TuningText.parts(of: content, name: "book", path: "book.txt", tokenizer: tokenizer, lastTokens: 3000)
        #expect(parts.last.tokenCount >= 3000 && parts.last.tokenCount < 4000)
        #expect(abs(parts.first.tokenCount + parts.last.tokenCount - text.tokenCount) < 5)
        let end = try parts.first.plain(length: 50, position: 1).tokens.dropFirst()
        let begin = try parts.last.plain(length: 50, position: 0).tokens.dropFirst()
        let all = tokenizer.encode(content)
        #expect(all[(all.count - parts.last.tokenCount - 60)..<(all.count - parts.last.tokenCount + 60)].contains(end.last!))
        #expect(end != begin)
    }
}
