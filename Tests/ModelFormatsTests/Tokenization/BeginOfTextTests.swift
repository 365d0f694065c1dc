import Foundation
import ModelFormats
import Testing

/// What a prompt begins with: the tokenizer's post-processor, and where there is none its settings; never what `config.json` says.
@Suite struct BeginOfTextTests {
    private struct Automatic: Decodable {
        struct Case: Decodable {
            let text: String
            let ids: [Int32]
        }
        let cases: [String: Case]
    }

    /// Folders whose settings contradict the post-processor, as transformers reads them (`golden-auto.json`).
    @Test(arguments: ["bl-llama3", "sp-bpe-prefix"]) func postProcessorsCountBeforeSettings(_ name: String) throws {
        let golden = GoldenTokenizer(name: name)
        let data = try Data(contentsOf: URL(fileURLWithPath: golden.path("golden-auto.json")))
        let whole = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let cases = try #require(whole["cases"] as? [String: [String: Any]])
        let expected = try JSONDecoder().decode(Automatic.self, from: data).cases
        #expect(cases.count == expected.count && cases.count >= 3)
        let directory = try TemporaryDirectory()
        for (name, one) in cases {
            let settings = try directory.write(
                JSONSerialization.data(withJSONObject: try #require(one["tokenizer_config"])), to: "tokenizer_config.json")
            let tokenizer = try Tokenizer(path: golden.path("tokenizer.json"), settingsPath: settings)
            let wanted = try #require(expected[name])
            #expect(tokenizer.encodePrompt(wanted.text) == wanted.ids, "\(name)")
        }
    }

    @Test func settingsCountWhereThereIsNoPostProcessor() throws {
        func before(_ postProcessor: Any?, _ settings: String) throws -> [Int32] {
            var fixture = TokenizerFixture()
            fixture.add("<s>", id: 256)
            if let postProcessor { fixture.root["post_processor"] = postProcessor }
            return try fixture.tokenizer(settings: settings).affixes.before
        }
        let (adds, leaves) = (#"{"bos_token": "<s>", "add_bos_token": true}"#, #"{"bos_token": "<s>", "add_bos_token": false}"#)
        let byteLevel: [String: Any] = ["type": "ByteLevel"]
        let plain: [String: Any] = ["type": "TemplateProcessing", "single": [["Sequence": ["id": "A"]]], "special_tokens": [String: Any]()]
        let begins: [String: Any] = [
            "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "b"]], ["Sequence": ["id": "A"]]],
            "special_tokens": ["b": ["id": "b", "ids": [256], "tokens": ["<s>"]] as [String: Any]],
        ]
        #expect(try before(nil, adds) == [256] && before(nil, leaves) == [] && before(nil, #"{"bos_token": "<s>"}"#) == [])
        // A step that only spells bytes says nothing of the kind; a template says it, even one that adds nothing.
        #expect(try before(byteLevel, adds) == [256] && before(plain, adds) == [] && before(begins, leaves) == [256])
        let sequence: [String: Any] = ["type": "Sequence", "processors": [byteLevel, plain]]
        #expect(try before(sequence, adds) == [] && before(["type": "Sequence", "processors": [byteLevel]], adds) == [256])
    }
}
