import Foundation
import ModelFormats
import Testing

/// The split rules against the pieces of the reference library (`golden/make-split-rules.py`).
@Suite struct SplitRuleTests {
    struct Rule: Decodable, Sendable, CustomTestStringConvertible {
        struct Case: Decodable, Sendable {
            let text: String
            let pieces: [String]
        }

        let name: String
        let pattern: String
        let cases: [Case]
        var testDescription: String { name }
    }

    static func rules() throws -> [Rule] {
        let folder = try #require(Bundle.module.url(forResource: "golden", withExtension: nil))
        return try JSONDecoder().decode([Rule].self, from: Data(contentsOf: folder.appending(path: "split-rules.json")))
    }

    /// Every expected piece is a token of its own and whole pieces are looked up before merging, so tokens are pieces;
    /// a wrong cut comes out as single bytes.
    @Test(arguments: try rules()) func cutsLikeTheReference(rule: Rule) throws {
        let pieces = Set(rule.cases.flatMap(\.pieces).map(Array.init(utf8:)).filter { $0.count > 1 })
        // The same rule under its other spelling: GPT-2's is ByteLevel's own.
        let pattern = rule.name == "gpt2" ? nil : rule.pattern
        var fixture = TokenizerFixture(pattern: pattern, ignoreMerges: true)
        for (index, piece) in pieces.enumerated() { fixture.vocabulary[TokenizerFixture.spelling(piece)] = 256 + index }
        let tokenizer = try fixture.tokenizer()
        #expect(rule.cases.count > 150)
        for example in rule.cases {
            let found = tokenizer.encode(example.text).map { tokenizer.decode([$0]) }
            #expect(found.map(Array.init(utf8:)) == example.pieces.map(Array.init(utf8:)), "\(example.text.debugDescription)")
        }
    }

    @Test func gpt2PatternIsByteLevelsOwn() throws {
        let rule = try #require(try Self.rules().first { $0.name == "gpt2" })
        let split = try TokenizerFixture(pattern: rule.pattern).tokenizer()
        let own = try TokenizerFixture(pattern: nil).tokenizer()
        for example in rule.cases { #expect(split.encode(example.text) == own.encode(example.text)) }
    }
}

extension [UInt8] {
    /// `String` compares by canonical equivalence; bytes do not.
    fileprivate init(utf8 text: String) { self = [UInt8](text.utf8) }
}
