import Foundation
import ModelFormats
import Testing

/// The folder of vocabularies that are too large to keep here.
private let realVocabularies = ProcessInfo.processInfo.environment["SAMPLE_ATTENTION_REAL_VOCABULARIES"]

/// The vocabularies of SmolLM2 and Gemma 3, fetched by hand: `experiments/real-vocabularies` says how to get them and
/// how long encoding takes. Run where `SAMPLE_ATTENTION_REAL_VOCABULARIES` names their folder.
@Suite(.enabled(if: realVocabularies != nil)) struct RealVocabularyTests {
    private struct Golden: Decodable {
        struct Texts: Decodable {
            let ids: [[Int32]]
            let idsWithSpecial: [[Int32]?]
            let decoded: [String]
        }
        struct Differences: Decodable { let ids: [String: [Int32]] }

        let smollm2: Texts
        let digits: Differences
        let gemma3: Texts

        enum CodingKeys: String, CodingKey {
            case smollm2 = "smollm2-135m"
            case digits = "smollm2-135m-digits"
            case gemma3 = "gemma3-270m"
        }
    }

    private static func golden() throws -> Golden {
        let url = try #require(Bundle.module.url(forResource: "golden/tokenizers/golden-real", withExtension: "json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Golden.self, from: Data(contentsOf: url))
    }

    /// The metadata of a GGUF file as `dump.py` writes it.
    private static func tokenizer(_ name: String) throws -> Tokenizer {
        let file = try Data(contentsOf: URL(fileURLWithPath: try #require(realVocabularies) + "/" + name))
        let root = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
        func value<Value>(_ member: String) -> Value? { root["tokenizer.ggml." + member] as? Value }
        let fields = GGUFTokenizerFields(
            model: try #require(value("model")), pre: value("pre"), tokens: try #require(value("tokens")),
            scores: (value("scores") as [Double]?)?.map { Float($0) }, types: value("token_type"), merges: value("merges"),
            beginOfText: value("bos_token_id"), endOfText: value("eos_token_id"), unknown: value("unknown_token_id"),
            padding: value("padding_token_id"), addsBeginOfText: value("add_bos_token"), addsEndOfText: value("add_eos_token"),
            addsSpacePrefix: value("add_space_prefix"), chatTemplate: root["tokenizer.chat_template"] as? String)
        return try Tokenizer(fields, file: name)
    }

    @Test func smollm2() throws {
        let (tokenizer, golden) = (try Self.tokenizer("smollm2.json"), try Self.golden())
        for (index, text) in try GoldenTokenizer.texts().enumerated() {
            let expected = golden.digits.ids["\(index)"] ?? golden.smollm2.ids[index]
            #expect(tokenizer.encodePrompt(text) == expected, "\(index): \(text.debugDescription)")
            expectSame(tokenizer.decode(golden.smollm2.ids[index]), golden.smollm2.decoded[index], "\(index)")
        }
    }

    @Test func gemma3() throws {
        let (tokenizer, golden) = (try Self.tokenizer("gemma3.json"), try Self.golden())
        for (index, text) in try GoldenTokenizer.texts().enumerated() {
            #expect(tokenizer.encode(text) == golden.gemma3.ids[index], "\(index): \(text.debugDescription)")
            let whole = golden.gemma3.idsWithSpecial[index] ?? golden.gemma3.ids[index]
            #expect(tokenizer.encodePrompt(text) == whole, "\(index)")
            expectSame(tokenizer.decode(golden.gemma3.ids[index]), golden.gemma3.decoded[index], "\(index)")
        }
    }
}
