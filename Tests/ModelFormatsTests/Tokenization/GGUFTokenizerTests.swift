import AttentionCore
import Foundation
import ModelFormats
import Testing

/// Tokenizers of GGUF fields, made here of the files that the golden ids are of (`golden/gguf-tokenizers`).
@Suite struct GGUFTokenizerTests {
    private struct Golden: Decodable {
        struct Ids: Decodable { let ids: [[Int32]] }
        let llama: Ids
        let gpt2: Ids
    }

    private static func url(_ file: String) throws -> URL {
        try #require(Bundle.module.url(forResource: "golden/gguf-tokenizers/\(file)", withExtension: nil))
    }

    private static func golden() throws -> Golden {
        try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url("golden-tokenizers.json")))
    }

    /// The fields of the pieces of `tokenizer-llama.model`, in their order.
    private static func llama(addsSpacePrefix: Bool? = nil) throws -> GGUFTokenizerFields {
        let pieces = try PieceList(url("tokenizer-llama.model"))
        return GGUFTokenizerFields.made(
            model: "llama", pre: "default", tokens: pieces.texts, scores: pieces.scores, types: pieces.types,
            addsSpacePrefix: addsSpacePrefix)
    }

    private static func gpt2(pre: String? = "llama-bpe") throws -> GGUFTokenizerFields {
        let root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url("tokenizer-gpt2.json"))) as? [String: Any])
        let model = try #require(root["model"] as? [String: Any])
        let vocabulary = try #require(model["vocab"] as? [String: Int])
        let merges = try #require(model["merges"] as? [[String]])
        let tokens = vocabulary.sorted { $0.value < $1.value }.map(\.key)
        return GGUFTokenizerFields.made(
            model: "gpt2", pre: pre, tokens: tokens, types: tokens.indices.map { $0 < 3 ? 3 : 1 },
            merges: merges.map { $0.joined(separator: " ") })
    }

    /// SentencePiece spells out control symbols that stand in a text; here they are recognised, as in every other format.
    @Test func llamaGivesTheIdsOfSentencePiece() throws {
        let tokenizer = try Tokenizer(Self.llama(), file: "a.gguf")
        let golden = try Self.golden().llama.ids
        for (index, text) in try GoldenTokenizer.texts().enumerated() where !text.contains("<s>") && !text.contains("<unk>") {
            #expect(tokenizer.encode(text) == golden[index], "\(index): \(text.debugDescription)")
            expectSame(tokenizer.decode(tokenizer.encode(text)), text.replacing("\u{2581}", with: " "), "\(index)")
        }
        #expect(tokenizer.encode("<s>a") == [1] + tokenizer.encode("a"))
        #expect(tokenizer.encodePrompt("a") == [1] + tokenizer.encode("a"))
        let plain = try Tokenizer(Self.llama(addsSpacePrefix: false), file: "a.gguf")
        #expect(tokenizer.encode("a b") == plain.encode(" a b") && plain.decode(plain.encode(" a")) == " a")
    }

    @Test func gpt2GivesTheIdsOfItsRule() throws {
        let tokenizer = try Tokenizer(Self.gpt2(), file: "a.gguf")
        for (text, ids) in zip(try GoldenTokenizer.texts(), try Self.golden().gpt2.ids) {
            #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
            expectSame(tokenizer.decode(ids), text, "decoded")
        }
        // The name decides whether a prompt begins with its token where the file does not.
        #expect(tokenizer.affixes.before == [1] && tokenizer.affixes.after == [])
        #expect(try Tokenizer(Self.gpt2(pre: "smollm"), file: "a.gguf").affixes.before == [])
        #expect(try Tokenizer(Self.gpt2(pre: "qwen2"), file: "a.gguf").encode("e\u{301}") == tokenizer.encode("\u{E9}"))
    }

    /// The pieces of one text by the patterns of each rule, from the splits of `tokenizers` 0.22.2.
    static let cuts: [(String, [String])] = [
        ("gpt-2", ["don", "'t", " 1234", "\n \n", " x漢字か", " HelloWorld", "'", "S", "!?/", "\n", "=$"]),
        ("smollm", ["don", "'t", " ", "1", "2", "3", "4", "\n \n", " x漢字か", " HelloWorld", "'", "S", "!?/", "\n", "=$"]),
        ("llama-bpe", ["don", "'t", " ", "123", "4", "\n \n", " x漢字か", " HelloWorld", "'S", "!?/\n", "=$"]),
        ("qwen2", ["don", "'t", " ", "1", "2", "3", "4", "\n \n", " x漢字か", " HelloWorld", "'S", "!?/\n", "=$"]),
        ("gpt-4o", ["don't", " ", "123", "4", "\n \n", " x漢字か", " Hello", "World'S", "!?/\n", "=$"]),
        ("tekken", ["don", "'t", " ", "1", "2", "3", "4", "\n \n", " x漢字か", " Hello", "World", "'S", "!?/\n", "=$"]),
        ("default", ["don", "'", "t", " ", "123", "4", "\n \n", " x漢字か", " HelloWorld", "'", "S", "!?/", "\n", "=$"]),
        ("falcon", ["don", "'", "t", " ", "123", "4", "\n \n", " x漢字か", " HelloWorld", "'", "S", "!?/", "\n", "=$"]),
        ("deepseek-v3", ["don", "'t", " ", "123", "4", "\n \n", " x", "漢字か", " HelloWorld", "'S", "!?/\n", "=$"]),
        ("bloom", ["don't", " 1234", "\n \n", " x漢字か", " HelloWorld'S", "!?", "/", "\n", "=$"]),
        ("viking", ["don't", " ", "1", "2", "3", "4", "\n \n", " x漢字か", " HelloWorld'S", "!?", "/", "\n", "=$"]),
    ]

    /// Every piece is merged from its beginning, and after that neighbours where no cut keeps them apart.
    @Test(arguments: cuts) func rulesCutAsTheirNamesSay(_ name: String, _ pieces: [String]) throws {
        var tokens = (0...255).map { TokenizerFixture.spelling([UInt8($0)]) }
        var merges: [String] = []
        func merge(_ left: [UInt8], _ right: [UInt8]) {
            let merge = TokenizerFixture.spelling(left) + " " + TokenizerFixture.spelling(right)
            guard !merges.contains(merge) else { return }
            merges.append(merge)
            tokens.append(TokenizerFixture.spelling(left + right))
        }
        for bytes in pieces.map({ Array($0.utf8) }) {
            for length in bytes.indices.dropFirst() { merge(Array(bytes[..<length]), [bytes[length]]) }
        }
        for (left, right) in zip(pieces, pieces.dropFirst()) { merge(Array(left.utf8), Array(right.utf8)) }
        let tokenizer = try Tokenizer(GGUFTokenizerFields.made(model: "gpt2", pre: name, tokens: tokens, merges: merges), file: "a.gguf")
        #expect(tokenizer.encode(pieces.joined()).map { tokenizer.decode([$0]) } == pieces)
    }

    @Test func refusals() throws {
        func refuse(_ fields: GGUFTokenizerFields, _ field: String, _ rule: String, unsupported: Bool = false) {
            expectError(unsupported ? .unsupported : .invalidData, field: "tokenizer.ggml." + field, rule: rule, file: "a.gguf") {
                _ = try Tokenizer(fields, file: "a.gguf")
            }
        }
        let letters = ["a", "b", "ab"]
        refuse(.made(model: "bert", tokens: letters), "model", "llama", unsupported: true)
        refuse(.made(model: "gpt2", pre: "unheard-of", tokens: letters, merges: []), "pre", "not known", unsupported: true)
        refuse(.made(model: "llama", tokens: letters), "scores", "is missing")
        refuse(.made(model: "llama", tokens: letters, scores: [0]), "scores", "as many as tokens")
        refuse(.made(model: "llama", tokens: letters, scores: [0, 0, .infinity]), "tokens.ab", "number")
        refuse(.made(model: "llama", tokens: [], scores: []), "tokens", "must hold tokens")
        refuse(.made(model: "llama", tokens: letters, scores: [0, 0, 0], types: [1, 1]), "token_type", "as many as tokens")
        refuse(.made(model: "llama", tokens: letters, scores: [0, 0, 0], types: [1, 1, 7]), "token_type[2]", "1...6")
        refuse(.made(model: "llama", tokens: letters, scores: [0, 0, 0], beginOfText: 3), "bos_token_id", "one of the 3")
        refuse(.made(model: "gpt2", pre: "gpt-2", tokens: letters), "merges", "is missing")
        refuse(.made(model: "gpt2", pre: "gpt-2", tokens: letters, merges: ["ab"]), "merges[0]", "two tokens")
        refuse(.made(model: "gpt2", pre: "gpt-2", tokens: letters, merges: ["b a"]), "merges[0]", "in the vocabulary")
        refuse(.made(model: "gpt2", pre: "gpt-2", tokens: ["xx"], merges: []), "tokens", "for a byte")
    }
}

extension GGUFTokenizerFields {
    static func made(
        model: String, pre: String? = nil, tokens: [String], scores: [Float]? = nil, types: [Int]? = nil, merges: [String]? = nil,
        beginOfText: Int? = 1, addsSpacePrefix: Bool? = nil
    ) -> GGUFTokenizerFields {
        GGUFTokenizerFields(
            model: model, pre: pre, tokens: tokens, scores: scores, types: types, merges: merges, beginOfText: beginOfText, endOfText: 2,
            unknown: 0, padding: nil, addsBeginOfText: nil, addsEndOfText: nil, addsSpacePrefix: addsSpacePrefix, chatTemplate: nil)
    }
}

/// The pieces at the beginning of a SentencePiece model, read apart from the reader that is tested.
private struct PieceList {
    var texts: [String] = []
    var scores: [Float] = []
    var types: [Int] = []

    init(_ url: URL) throws {
        let bytes = [UInt8](try Data(contentsOf: url))
        var position = 0
        // Each piece is a message of less than 128 bytes: its text, its score, and its type where that is not 1.
        while position < bytes.count, bytes[position] == 0x0A {
            let end = position + 2 + Int(bytes[position + 1])
            let text = Int(bytes[position + 3])
            texts.append(String(decoding: bytes[position + 4..<position + 4 + text], as: UTF8.self))
            position += 4 + text
            let bits = (1...4).reduce(UInt32(0)) { $0 | UInt32(bytes[position + $1]) << UInt32(8 * ($1 - 1)) }
            scores.append(Float(bitPattern: bits))
            types.append(end > position + 5 ? Int(bytes[position + 6]) : 1)
            position = end
        }
    }
}
