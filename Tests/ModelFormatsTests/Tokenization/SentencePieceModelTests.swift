import AttentionCore
import Foundation
import ModelFormats
import Testing

/// `tokenizer.model` files against the ids of the `tokenizer.json` made of the same pieces.
@Suite struct SentencePieceModelTests {
    /// A model and the golden tokenizer that treats texts as SentencePiece does.
    struct Pair: Sendable, CustomTestStringConvertible {
        let model: String
        let reference: String
        var testDescription: String { model }
    }

    static let pairs = [
        Pair(model: "sp-bpe-prefix", reference: "sp-bpe-prefix"), Pair(model: "sp-bpe-plain", reference: "sp-bpe-plain"),
        Pair(model: "sp-unigram", reference: "sp-unigram-legacy"),
    ]

    @Test(arguments: pairs) func idsAndTextsAreTheReferences(_ pair: Pair) throws {
        let folder = GoldenTokenizer(name: pair.model)
        let tokenizer = try Tokenizer(sentencePiecePath: folder.path("tokenizer.model"))
        let expected = try GoldenTokenizer(name: pair.reference).expected()
        for (index, text) in try GoldenTokenizer.texts().enumerated() {
            let ids = tokenizer.encode(text)
            #expect(ids == expected.ids[index], "\(index): \(text.debugDescription)")
            #expect(tokenizer.encodePrompt(text) == [1] + expected.ids[index])
            expectSame(tokenizer.decode(ids), expected.decoded[index], "\(index)")
            expectSame(
                tokenizer.decode(ids, skippingSpecialTokens: true), expected.decodedSkippingSpecial[index] ?? expected.decoded[index],
                "\(index)")
        }
    }

    @Test func settingsDecideWhatAPromptBeginsWith() throws {
        let directory = try TemporaryDirectory()
        let path = try GoldenTokenizer(name: "sp-bpe-plain").path("tokenizer.model")
        func affixes(_ settings: String) throws -> PromptAffixes {
            try Tokenizer(sentencePiecePath: path, settingsPath: directory.write(settings, to: "tokenizer_config.json")).affixes
        }
        #expect(try affixes("{}").before == [1] && affixes("{}").after == [])
        #expect(try affixes(#"{"add_bos_token": false, "bos_token": "<s>"}"#).before == [])
        #expect(try affixes(#"{"bos_token": "<|im_start|>"}"#).before == [3])
        #expect(try affixes(#"{"add_eos_token": true, "eos_token": "</s>"}"#).after == [2])
    }

    /// Settings rename pieces, as chat models do with reserved ones, and files beside the model add tokens behind them.
    @Test func filesBesideTheModelAddTokens() throws {
        let directory = try TemporaryDirectory()
        let settings = try directory.write(
            #"{"added_tokens_decoder": {"700": {"content": "<|new|>", "special": true}, "6": {"content": "[SW2]", "special": true}}}"#,
            to: "tokenizer_config.json")
        let added = try directory.write(##"{"<|tool|>": 701, "<|new|>": 700}"##, to: "added_tokens.json")
        let tokenizer = try Tokenizer(
            sentencePiecePath: GoldenTokenizer(name: "sp-bpe-plain").path("tokenizer.model"), settingsPath: settings, addedTokensPath: added
        )
        #expect(tokenizer.vocabularySize == 702 && tokenizer.modelVocabularySize == 700)
        let ids = tokenizer.encode("<|new|><|tool|>[SW2]")
        #expect(ids == [700, 701, 6])
        #expect(tokenizer.decode(ids, skippingSpecialTokens: true) == "<|tool|>")
    }

    /// A model written here: pieces, and the settings that the golden models leave at their usual values.
    @Test func spacesAndMapsAreAsTheModelSays() throws {
        // A trie of one text, "A", that becomes "ab": the root's child stands where its own offset, 1, and the byte lead.
        var units = [UInt32](repeating: 0, count: 0x42)
        units[0] = 1 << 10
        units[0x40] = UInt32(0x41) | 1 << 8 | 1 << 10
        units[0x41] = 0
        let map = littleEndian(UInt32(units.count * 4)) + units.flatMap { littleEndian($0) } + Array("ab\0".utf8)
        let model =
            piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("a", -1) + piece("b", -2) + piece("\u{2581}", -3) + piece("ab", -0.5)
            + field(2, field(3, 2)) + field(3, field(2, map))
        let directory = try TemporaryDirectory()
        let path = try directory.write(model, to: "tokenizer.model")
        let tokenizer = try Tokenizer(sentencePiecePath: path)
        #expect(tokenizer.encode("  a   b ") == [4, 2, 4, 3])
        #expect(tokenizer.encode("A") == [4, 5] && tokenizer.encode("c d") == [4, 0, 4, 0])
        #expect(tokenizer.encodeWithOffsets("  a").scalarRanges == [2..<3, 2..<3])
        #expect(tokenizer.decode([4, 2, 4, 3]) == "a b")
    }

    @Test func brokenModelsAreRefused() throws {
        let directory = try TemporaryDirectory()
        func refuse(_ bytes: [UInt8], _ field: String, _ rule: String, unsupported: Bool = false) throws {
            let path = try directory.write(bytes, to: "tokenizer.model")
            expectError(unsupported ? .unsupported : .invalidData, field: field, rule: rule, file: path) {
                _ = try Tokenizer(sentencePiecePath: path)
            }
        }
        let pieces = piece("<unk>", 0, 2) + piece("a", -1)
        try refuse([0x0A], "model", "end within the file")
        try refuse([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "model", "end within the file")
        try refuse([0x0B], "model", "protocol buffer")
        try refuse(Array(repeating: 0xFF, count: 12), "model", "10 bytes")
        try refuse(field(2, field(3, 2)), "pieces", "must hold pieces")
        try refuse(field(1, field(2, Float(1))), "pieces[0].piece", "not be empty")
        try refuse(field(1, field(1, [0xFF])), "pieces[0].piece", "type")
        try refuse(field(1, field(1, Array("a".utf8)) + field(3, 9)), "pieces[0].type", "type")
        try refuse(piece("a", .nan), "pieces.a", "number")
        try refuse(piece(String(repeating: "a", count: 2000), 0), "pieces.aaaaaaaaaaaaaaaaaaaa", "at most")
        try refuse(pieces + field(2, field(3, 3)), "trainer_spec.model_type", "unigram or bpe", unsupported: true)
        try refuse(pieces + field(2, field(24, 1)), "trainer_spec.treat_whitespace_as_suffix", "false", unsupported: true)
        try refuse(pieces + field(3, field(5, 0)), "normalizer_spec.escape_whitespaces", "true", unsupported: true)
        try refuse(pieces + field(3, field(2, [1, 2, 3])), "normalizer_spec.precompiled_charsmap", "type")
        try refuse(pieces + field(5, field(2, [1])), "denormalizer_spec.precompiled_charsmap", "not supported", unsupported: true)
    }

    // MARK: Writing models

    private func varint(_ value: Int) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7)
    }

    private func field(_ number: Int, _ value: Int) -> [UInt8] { varint(number << 3) + varint(value) }
    private func field(_ number: Int, _ value: Float) -> [UInt8] { varint(number << 3 | 5) + littleEndian(value.bitPattern) }
    private func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(bytes.count) + bytes }

    private func piece(_ text: String, _ score: Float, _ type: Int = 1) -> [UInt8] {
        field(1, field(1, Array(text.utf8)) + field(2, score) + field(3, type))
    }
}
