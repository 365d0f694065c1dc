import AttentionCore
import Foundation
import HaystackModel
import ModelFormats
import Testing

/// Tokenizer files that are hostile, broken or of another kind.
@Suite struct TokenizerRefusalTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: InputError.Code
        let field: String
        let rule: String
        let change: @Sendable (inout TokenizerFixture) -> Void

        init(
            _ name: String, _ code: InputError.Code, _ field: String, _ rule: String,
            _ change: @escaping @Sendable (inout TokenizerFixture) -> Void
        ) {
            testDescription = name
            self.code = code
            self.field = field
            self.rule = rule
            self.change = change
        }
    }

    static let broken: [Refusal] = [
        .init("no model", .invalidData, "model", "is missing") { $0.root["model"] = nil },
        .init("no vocabulary", .invalidData, "model.vocab", "is missing") { $0[model: "vocab"] = nil },
        .init("no merges", .invalidData, "model.merges", "is missing") { $0[model: "merges"] = nil },
        .init("empty vocabulary", .invalidData, "model.vocab", "a token for a byte") { $0[model: "vocab"] = [String: Int]() },
        .init("missing unknown token", .invalidData, "model.unk_token", "none for byte 33") {
            $0.vocabulary["!"] = nil
            $0[model: "unk_token"] = "<unk>"
        },
        .init("negative id", .invalidData, "model.vocab.x!", "a token id") { $0.vocabulary["x!"] = -1 },
        .init("fractional id", .invalidData, "model.vocab.x!", "a token id") {
            $0.vocabulary["x!"] = 256.5
        },
        .init("huge id", .invalidData, "model.vocab.x!", "a token id") { $0.vocabulary["x!"] = 1 << 40 },
        .init("merge outside", .invalidData, "model.merges[0]", "in the vocabulary") { $0[model: "merges"] = ["a q!"] },
        .init("union outside", .invalidData, "model.merges[1]", "in the vocabulary") {
            $0.vocabulary["ab"] = 256
            $0[model: "merges"] = ["a b", "ab a"]
        },
        .init("merge of three", .invalidData, "model.merges[0]", "two tokens") {
            $0[model: "merges"] = [["a", "b", "c"]]
        },
        .init("merge of one", .invalidData, "model.merges[0]", "two tokens") { $0[model: "merges"] = ["ab"] },
        .init("merge of nothing", .invalidData, "model.merges[0]", "two tokens") { $0[model: "merges"] = [" b"] },
        .init("merge of numbers", .invalidData, "model.merges[0]", "two tokens") { $0[model: "merges"] = [[1, 2]] },
        .init("added token takes an id", .invalidData, "added_tokens", "agree") { $0.add("<s>", id: 7) },
        .init("added token with two ids", .invalidData, "added_tokens", "agree") { $0.add("a", id: 256) },
        .init("added token twice", .invalidData, "added_tokens", "agree") {
            $0.add("<s>", id: 256)
            $0.add("<s>", id: 257)
        },
        .init("added token without text", .invalidData, "added_tokens[0].content", "not empty") { $0.add("", id: 256) },
        .init("added token negative", .invalidData, "added_tokens[0].id", "an integer in") { $0.add("<s>", id: -1) },
        .init("added tokens no list", .invalidData, "added_tokens", "a list") { $0.root["added_tokens"] = 3 },
    ]

    static let otherKinds: [Refusal] = [
        .init("word piece", .unsupported, "model.type", "WordPiece") { $0[model: "type"] = "WordPiece" },
        .init("word level", .unsupported, "model.type", "WordLevel") { $0[model: "type"] = "WordLevel" },
        .init("unigram behind bytes", .unsupported, "model.type", "Unigram") { $0[model: "type"] = "Unigram" },
        .init("scripts", .unsupported, "pre_tokenizer.pretokenizers[0].type", "this pre-tokenizer") {
            $0.root["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [["type": "UnicodeScripts"], ["type": "ByteLevel"]]]
        },
        .init("byte level twice", .unsupported, "pre_tokenizer.pretokenizers[1].type", "once") {
            $0.root["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [["type": "ByteLevel"], ["type": "ByteLevel"]]]
        },
        .init("post-processor", .unsupported, "post_processor.type", "post-processor") { $0.root["post_processor"] = ["type": "Other"] },
        .init("template without its token", .invalidData, "post_processor.single", "special_tokens") {
            $0.root["post_processor"] = ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>"]]]]
        },
        .init("suffix", .unsupported, "model.end_of_word_suffix", "null") { $0[model: "end_of_word_suffix"] = "</w>" },
        .init("prefix", .unsupported, "model.continuing_subword_prefix", "null") {
            $0[model: "continuing_subword_prefix"] = "##"
        },
        .init("dropout", .unsupported, "model.dropout", "0") { $0[model: "dropout"] = 0.1 },
        .init("other normaliser", .unsupported, "normalizer.type", "this normaliser") {
            $0.root["normalizer"] = ["type": "BertNormalizer"]
        },
        .init("other normaliser inside", .unsupported, "normalizer.normalizers[0].type", "this normaliser") {
            $0.root["normalizer"] = ["type": "Sequence", "normalizers": [["type": "ByteLevel"]]]
        },
        .init("broken character map", .invalidData, "normalizer.precompiled_charsmap", "Base64") {
            $0.root["normalizer"] = ["type": "Precompiled", "precompiled_charsmap": "AAAA"]
        },
        .init("metaspace behind bytes", .unsupported, "pre_tokenizer.pretokenizers[1].type", "must not follow") {
            $0.root["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [["type": "ByteLevel"], ["type": "Metaspace"]]]
        },
        .init("metaspace scheme", .invalidData, "pre_tokenizer.prepend_scheme", "always") {
            $0.root["pre_tokenizer"] = ["type": "Metaspace", "prepend_scheme": "sometimes"]
        },
        .init("metaspace of two", .invalidData, "pre_tokenizer.replacement", "one character") {
            $0.root["pre_tokenizer"] = ["type": "Metaspace", "replacement": "__"]
        },
        .init("growing text", .unsupported, "normalizer.normalizers[14].type", "16384 times") {
            let double: [String: Any] = ["type": "Replace", "pattern": ["String": "a"], "content": "aa"]
            $0.root["normalizer"] = ["type": "Sequence", "normalizers": Array(repeating: double, count: 60)]
        },
        .init("growing tokens", .unsupported, "decoder.type", "16 times") {
            $0.root["decoder"] = ["type": "Replace", "pattern": ["Regex": "."], "content": String(repeating: "a", count: 17)]
        },
        .init("many metaspaces", .unsupported, "pre_tokenizer.pretokenizers[4].type", "at most 4") {
            $0.root["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": Array(repeating: ["type": "Metaspace"], count: 5)]
        },
        .init("long template", .invalidData, "post_processor.special_tokens.b.ids", "4096 tokens") {
            $0.root["post_processor"] = [
                "type": "TemplateProcessing", "single": Array(repeating: ["SpecialToken": ["id": "b"]], count: 100),
                "special_tokens": ["b": ["ids": Array(repeating: 1, count: 100)]],
            ]
        },
        .init("other decoder", .unsupported, "decoder.type", "this decoder") { $0.root["decoder"] = ["type": "WordPiece"] },
        .init("replacement of bytes", .unsupported, "decoder.decoders[1].type", "behind") {
            $0.root["decoder"] = [
                "type": "Sequence",
                "decoders": [["type": "ByteFallback"], ["type": "Replace", "pattern": ["String": "a"], "content": "b"]],
            ]
        },
    ]

    @Test func acceptsTheFixtureItself() throws {
        #expect(try TokenizerFixture().tokenizer().vocabularySize == 256)
    }

    @Test(arguments: broken + otherKinds) func refuses(_ refusal: Refusal) throws {
        var fixture = TokenizerFixture()
        refusal.change(&fixture)
        expectError(refusal.code, field: refusal.field, rule: refusal.rule) { _ = try fixture.tokenizer() }
    }

    @Test func refusesOtherPatterns() {
        let field = "pre_tokenizer.pretokenizers[0].pattern.Regex"
        for pattern in [#"(?<=a)b"#, #"(a)\1"#, #"\p{Latin}+"#, "(a", "[a", "a**b(", "(a*)*", "a{99}", "((((a{64}){64}){64}){64})", "*"] {
            expectError(.unsupported, field: field, rule: "expression") { _ = try TokenizerFixture(pattern: pattern).tokenizer() }
        }
    }

    @Test func refusesDoubledIds() throws {
        var fixture = TokenizerFixture(pieces: ["ab"])
        fixture.vocabulary["ab"] = 9
        expectError(.invalidData, rule: "another token already") { _ = try fixture.tokenizer() }
    }

    @Test func refusesTruncatedAndDeepFiles() throws {
        let directory = try TemporaryDirectory()
        let whole = try Data(contentsOf: HaystackModel.modelDirectory.appending(path: "tokenizer.json"))
        for length in [1, 100, whole.count / 2, whole.count - 1] {
            let path = try directory.write(whole.prefix(length), to: "tokenizer.json")
            expectError(.invalidData, field: "JSON", file: path) { _ = try Tokenizer(path: path) }
        }
        let deep = try directory.write(#"{"model":"# + String(repeating: #"{"a":"#, count: 50_000), to: "deep.json")
        expectError(.invalidData, field: "JSON", rule: "nest deeper") { _ = try Tokenizer(path: deep) }
        expectError(.missingInput) { _ = try Tokenizer(path: directory.path + "/absent.json") }
    }
}
