import AttentionCore
import Foundation
import HaystackModel
import ModelFormats
import Testing

@Suite struct TokenizerTests {
    private func bundled() throws -> Tokenizer {
        try Tokenizer(path: HaystackModel.modelDirectory.path + "/tokenizer.json")
    }

    private struct Golden: Decodable {
        let text: String
        let ids: [Int32]
    }

    @Test func matchesTheReferenceOnTheBundledModel() throws {
        let folder = try #require(Bundle.module.url(forResource: "golden", withExtension: nil))
        let data = try Data(contentsOf: folder.appending(path: "haystack-13m-tokens.json"))
        let cases = try JSONDecoder().decode([Golden].self, from: data)
        #expect(cases.count == 89)
        let tokenizer = try bundled()
        for example in cases {
            let ids = tokenizer.encode(example.text)
            #expect(ids == example.ids, "\(example.text.debugDescription)")
            #expect(Array(tokenizer.decode(ids).utf8) == Array(example.text.utf8))
        }
    }

    /// Random Unicode: encoding and decoding is the identity, offsets cover the text in order, and both encoders agree.
    @Test func roundTripsRandomText() throws {
        let tokenizer = try bundled()
        let seed: UInt64 = 1_912
        var generator = SeededGenerator(seed: seed)
        for round in 0..<400 {
            let limit: UInt32 = [0x7F, 0x250, 0x3100, 0x1F700][round % 4]
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...60, using: &generator) {
                text.append(Unicode.Scalar(UInt32.random(in: 0...limit, using: &generator)) ?? " ")
            }
            let encoded = tokenizer.encodeWithOffsets(String(text))
            #expect(encoded.ids == tokenizer.encode(String(text)))
            #expect(tokenizer.decode(encoded.ids).unicodeScalars.elementsEqual(text), "seed \(seed), round \(round)")
            var end = 0
            for range in encoded.scalarRanges {
                #expect(range.lowerBound == end || range.lowerBound == end - 1, "seed \(seed), round \(round)")
                #expect(!range.isEmpty)
                end = range.upperBound
            }
            #expect(end == text.count, "seed \(seed), round \(round)")
        }
    }

    @Test func offsetsCountScalarsAndSplitCharactersTouchTwice() throws {
        // "ab" and the first three bytes of the emoji (F0 9F 99 82) are tokens; the accent is a scalar of its own.
        var fixture = TokenizerFixture(
            merges: ["a b", "ð Ł", "ðŁ Ļ"])
        for (index, token) in ["ab", "ðŁ", "ðŁĻ"].enumerated() { fixture.vocabulary[token] = 256 + index }
        let encoded = try fixture.tokenizer().encodeWithOffsets("ab🙂e\u{301}b")
        #expect(encoded.ids == [256, 258, 0x82, 0x65, 0xCC, 0x81, 0x62])
        #expect(encoded.scalarRanges == [0..<2, 2..<3, 2..<3, 3..<4, 4..<5, 4..<5, 5..<6])
    }

    @Test func mergesByRankAndTakesBothSpellings() throws {
        // Rank decides, not position: "b c" is learnt before "a b", so "abc" is a + bc.
        let pairs = [["b", "c"], ["a", "b"], ["ab", "c"]]
        for merges in [pairs as Any, pairs.map { $0.joined(separator: " ") } as Any] {
            let tokenizer = try TokenizerFixture(pieces: ["bc", "ab", "abc"], merges: merges).tokenizer()
            #expect(tokenizer.encode("abc") == [0x61, 256])
            #expect(tokenizer.encode("abab") == [257, 257])
            #expect(tokenizer.encode("aab") == [0x61, 257])
        }
        let whole = try TokenizerFixture(pieces: ["bc", "ab", "abc"], merges: pairs, ignoreMerges: true).tokenizer()
        #expect(whole.encode("abc") == [258])
        // Equal ranks go left to right.
        let doubled = try TokenizerFixture(pieces: ["aa"], merges: [["a", "a"]]).tokenizer()
        #expect(doubled.encode("aaaaa") == [256, 256, 0x61])
    }

    @Test func addedTokensComeFirstLeftmostLongest() throws {
        var fixture = TokenizerFixture()
        fixture.add("<|end|>", id: 256)
        fixture.add("<|end|>x", id: 257)
        fixture.add("tool", id: 258, special: false, normalized: true)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.encode("<|end|>x<|end|><|end") == [257, 256] + "<|end".utf8.map(Int32.init))
        #expect(tokenizer.encode("atool") == [0x61, 258])
        let encoded = tokenizer.encodeWithOffsets("é<|end|>y")
        #expect(encoded.ids == [0xC3, 0xA9, 256, 0x79])
        #expect(encoded.scalarRanges == [0..<1, 0..<1, 1..<8, 8..<9])
        #expect(tokenizer.decode([256, 258, 0x79]) == "<|end|>tooly")
        #expect(tokenizer.decode([256, 258, 0x79], skippingSpecialTokens: true) == "tooly")
        #expect(tokenizer.id(ofSpecial: "<|end|>") == 256 && tokenizer.id(ofSpecial: "end") == nil)
        #expect(tokenizer.vocabularySize == 259)
    }

    @Test func decodesWhatIsNotUTF8OrNotAToken() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        #expect(tokenizer.decode([0x61, 0xF0, 0x9F, 0x62]) == "a\u{FFFD}b")
        #expect(tokenizer.decode([-1, 0x61, 256, Int32.max]) == "a")
    }

    @Test func composesAndKeepsOffsetsOfTheOriginal() throws {
        var fixture = TokenizerFixture(pieces: ["é"], merges: [["Ã", "©"]])
        fixture.root["normalizer"] = ["type": "NFC"]
        fixture.add("e\u{301}!", id: 257)
        fixture.add("\u{41}\u{30A}", id: 258, special: false, normalized: true)
        let tokenizer = try fixture.tokenizer()
        let encoded = tokenizer.encodeWithOffsets("xe\u{301}y\u{1100}\u{1161}\u{11A8}\u{AC00}\u{11A8}")
        let syllable: [Int32] = [0xEA, 0xB0, 0x81]  // U+AC01
        #expect(encoded.ids == [0x78, 256, 0x79] + syllable + syllable)
        #expect(encoded.scalarRanges == [0..<1, 1..<3, 3..<4, 4..<7, 4..<7, 4..<7, 7..<9, 7..<9, 7..<9])
        // The first token is looked for as written, the second after composing.
        #expect(tokenizer.encode("e\u{301}!") == [257] && tokenizer.encode("é!") == [256, 0x21])
        #expect(tokenizer.encode("\u{C5}") == [258] && tokenizer.encode("A\u{30A}") == [258])
        #expect(tokenizer.encode("漢字").count == 6)
    }

    /// A million letters without a cut: a loop that ranks every pair again after each merge would take an hour.
    @Test(.timeLimit(.minutes(10))) func longPiecesAreNotQuadratic() throws {
        var generator = SeededGenerator(seed: 5)
        let letters = (0..<1_000_000).map { _ in UInt8.random(in: 0x61...0x7A, using: &generator) }
        let text = String(decoding: letters, as: UTF8.self)
        let tokenizer = try bundled()
        #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }

    @Test func beginOfTextComesFromTheSettings() throws {
        var fixture = TokenizerFixture()
        fixture.add("<s>", id: 256)
        #expect(try fixture.tokenizer().affixes.count == 0)
        #expect(try fixture.tokenizer(settings: #"{"bos_token": "<s>", "add_bos_token": true}"#).affixes.before == [256])
        #expect(try fixture.tokenizer(settings: #"{"bos_token": {"content": "<s>"}, "add_bos_token": true}"#).affixes.before == [256])
        #expect(try fixture.tokenizer(settings: #"{"bos_token": null, "add_bos_token": true}"#).affixes.count == 0)
        #expect(try fixture.tokenizer(settings: #"{"bos_token": "<s>"}"#).affixes.count == 0)
        expectError(.invalidData, field: "bos_token") {
            _ = try fixture.tokenizer(settings: #"{"bos_token": "<t>", "add_bos_token": true}"#)
        }
        #expect(try fixture.tokenizer(settings: #"{"eos_token": "<s>", "add_eos_token": true}"#).affixes.after == [256])
    }
}
