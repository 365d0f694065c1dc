import Foundation
import ModelFormats
import Testing

/// Byte-level tokenizers whose steps differ, against ids of Hugging Face's `tokenizers` (`golden/tokenizer-steps.py`).
@Suite struct TokenizerStepsTests {
    private let golden: [String: Any]

    init() throws {
        let url = try #require(Bundle.module.url(forResource: "golden/tokenizer-steps", withExtension: "json"))
        golden = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    }

    @Test func everyCaseGivesTheReferencesIds() throws {
        let texts = try #require(golden["texts"] as? [String])
        let cases = try #require(golden["cases"] as? [[String: Any]])
        #expect(cases.count == 35)
        for one in cases {
            let name = try #require(one["name"] as? String)
            let tokenizer = try tokenizer(one)
            let expected = try #require(one["ids"] as? [[Int]])
            for (text, ids) in zip(texts, expected) {
                let own = tokenizer.encodePrompt(text).map(Int.init)
                #expect(own == ids, "\(name): \(text.debugDescription)")
                let offsets = tokenizer.encodeWithOffsets(text)
                #expect(offsets.ids == tokenizer.encode(text))
                let scalars = text.unicodeScalars.count
                #expect(
                    offsets.scalarRanges.allSatisfy { 0 <= $0.lowerBound && $0.upperBound <= scalars }, "\(name): \(text.debugDescription)")
            }
        }
    }

    /// The golden file's tokenizer with one case's changes.
    private func tokenizer(_ one: [String: Any]) throws -> Tokenizer {
        let missing = Set(try #require(one["missing"] as? [Int]))
        let settings = try #require(one["model"] as? [String: Any])
        var vocabulary: [String: Int] = [:]
        for byte in 0...255 { vocabulary[TokenizerFixture.spelling([UInt8(byte)])] = byte }
        let merges = try #require(golden["merges"] as? [String])
        for (index, merge) in merges.enumerated() { vocabulary[merge.replacing(" ", with: "")] = 256 + index }
        if settings["unk_token"] != nil {
            vocabulary[TokenizerFixture.spelling([0])] = nil
            vocabulary["<u>"] = 0
        }
        for byte in missing { vocabulary[TokenizerFixture.spelling([UInt8(byte)])] = nil }
        var fixture = TokenizerFixture(pattern: nil)
        fixture.vocabulary = vocabulary
        fixture[model: "merges"] = merges.filter { $0.split(separator: " ").allSatisfy { vocabulary[String($0)] != nil } }
        for (member, value) in settings { fixture[model: member] = value }
        for (member, value) in try #require(one["members"] as? [String: Any]) { fixture.root[member] = value }
        return try fixture.tokenizer()
    }

    /// Characters that no part of the vocabulary spells come back as nothing; all others as they were.
    @Test func whatHasATokenComesBack() throws {
        let cases = try #require(golden["cases"] as? [[String: Any]])
        let whole = try tokenizer(try #require(cases.first { $0["name"] as? String == "digits then byte level" }))
        for text in try #require(golden["texts"] as? [String]) { #expect(whole.decode(whole.encode(text)) == text) }
        let poor = try tokenizer(try #require(cases.first { $0["name"] as? String == "bytes without a token" }))
        #expect(poor.decode(poor.encode("one|two\u{0}|three")) == "onetwothree")
    }
}
