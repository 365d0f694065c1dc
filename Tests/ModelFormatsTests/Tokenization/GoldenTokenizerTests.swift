import Foundation
import ModelFormats
import Testing

/// Ids and texts of twelve tokenizers against the reference's (`golden/tokenizers`).
@Suite struct GoldenTokenizerTests {
    @Test(arguments: GoldenTokenizer.all()) func idsAreTheReferences(_ golden: GoldenTokenizer) throws {
        let tokenizer = try Tokenizer(path: golden.path("tokenizer.json"), settingsPath: golden.path("tokenizer_config.json"))
        let expected = try golden.expected()
        for (index, text) in try GoldenTokenizer.texts().enumerated() {
            #expect(tokenizer.encode(text) == expected.ids[index], "\(index): \(text.debugDescription)")
            let whole = expected.idsWithSpecial[index] ?? expected.ids[index]
            #expect(tokenizer.encodePrompt(text) == whole, "\(index): \(text.debugDescription)")
            let offsets = tokenizer.encodeWithOffsets(text)
            #expect(offsets.ids == expected.ids[index])
            let scalars = text.unicodeScalars.count
            #expect(offsets.scalarRanges.allSatisfy { 0 <= $0.lowerBound && $0.upperBound <= scalars }, "\(index)")
        }
    }

    /// Whole texts, texts without special tokens, and halves that end inside characters; as a whole and token by token.
    @Test(arguments: GoldenTokenizer.all()) func textsAreTheReferences(_ golden: GoldenTokenizer) throws {
        let tokenizer = try Tokenizer(path: golden.path("tokenizer.json"))
        let expected = try golden.expected()
        func check(_ ids: [Int32], _ text: String, _ index: Int, skipping: Bool = false) {
            expectSame(tokenizer.decode(ids, skippingSpecialTokens: skipping), text, "\(index)")
            var stream = TextStream(tokenizer, skippingSpecialTokens: skipping)
            let parts = ids.map { stream.append($0) } + [stream.finish()]
            expectSame(parts.joined(), text, "\(index), token by token")
        }
        for (index, ids) in expected.ids.enumerated() {
            check(ids, expected.decoded[index], index)
            check(ids, expected.decodedSkippingSpecial[index] ?? expected.decoded[index], index, skipping: true)
            check(Array(ids.prefix(ids.count / 2)), expected.decodedFirstHalf[index], index)
        }
    }

    /// Pieces are tokens when every piece is a token of its own and whole pieces are looked up before merging.
    @Test(arguments: GoldenTokenizer.all().filter { $0.name.hasPrefix("bl-") }) func piecesAreTheReferences(_ golden: GoldenTokenizer)
        throws
    {
        let pieces = try #require(try golden.expected().pretokensIgnoringAddedTokens)
        let file = try Data(contentsOf: URL(fileURLWithPath: golden.path("tokenizer.json")))
        var root = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
        var fixture = TokenizerFixture()
        var vocabulary = fixture.vocabulary
        for piece in Set(pieces.joined()) where vocabulary[piece] == nil { vocabulary[piece] = vocabulary.count }
        root["added_tokens"] = [Any]()
        root["post_processor"] = NSNull()
        root["model"] = ["type": "BPE", "vocab": vocabulary, "merges": [String](), "ignore_merges": true] as [String: Any]
        fixture.root = root
        let tokenizer = try fixture.tokenizer()
        let spellings = Dictionary(uniqueKeysWithValues: vocabulary.map { ($1 as! Int, $0) })
        for (text, pieces) in zip(try GoldenTokenizer.texts(), pieces) {
            #expect(tokenizer.encode(text).map { spellings[Int($0)] } == pieces, "\(text.debugDescription)")
        }
    }
}
