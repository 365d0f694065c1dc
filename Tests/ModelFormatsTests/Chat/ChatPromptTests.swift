import AttentionCore
import Foundation
import ModelFormats
import Testing

/// Conversations against what Jinja makes of the templates of published models (`golden/chat-templates.py`).
@Suite struct ChatPromptTests {
    struct Golden: Decodable, Sendable {
        struct Conversation: Decodable, Sendable {
            let system: String?
            let user: String
        }
        struct Dialogue: Decodable, Sendable {
            let system: String?
            /// The user's first.
            let turns: [String]
        }
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            let name, format, begin, template: String
            let texts, dialogueTexts: [String]
            var testDescription: String { name }
        }
        let conversations: [Conversation]
        let dialogues: [Dialogue]
        let cases: [Case]
        let unknown: [String: String]
    }

    static func golden() throws -> Golden {
        let url = try #require(Bundle.module.url(forResource: "golden/chat-templates", withExtension: "json"))
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    }

    /// A byte-level tokenizer with these added tokens from 256 on, and one of them before every prompt.
    private static func tokenizer(_ tokens: [String], begin: String? = nil) throws -> Tokenizer {
        var fixture = TokenizerFixture()
        for (index, token) in tokens.enumerated() { fixture.add(token, id: 256 + index) }
        if let id = begin.flatMap(tokens.firstIndex) {
            fixture.root["post_processor"] = [
                "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "b"]], ["Sequence": ["id": "A"]]],
                "special_tokens": ["b": ["id": "b", "ids": [256 + id], "tokens": ["b"]] as [String: Any]],
            ]
        }
        return try fixture.tokenizer()
    }

    @Test(arguments: try golden().cases) func textsAreTheTemplates(_ one: Golden.Case) throws {
        let template = ChatTemplate(one.template, file: "tokenizer_config.json")
        #expect(try ChatFormat(template).rawValue == one.format)
        let format = try ChatFormat(template)
        for (conversation, text) in zip(try Self.golden().conversations, one.texts) {
            let chat = ChatPrompt(format, template: template, system: conversation.system, user: conversation.user)
            let marks = [
                "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<bos>", "<s>",
            ]
            let others = ["<start_of_turn>", "<end_of_turn>", "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|end|>", "</s>"]
            let tokens = marks + others + ["<|begin_of_text|>"]
            // Whether the tokenizer puts begin-of-text before prompts or not, it comes once, where the template writes it.
            for begin in [nil, one.begin.isEmpty ? "<s>" : one.begin] {
                let tokenizer = try Self.tokenizer(tokens, begin: begin)
                let ids = try chat.tokens(tokenizer)
                expectSame(tokenizer.decode(ids), text, "\(one.name)")
                #expect(ids == tokenizer.encode(text))
            }
        }
    }

    @Test(arguments: try golden().cases) func earlierAnswersAreTheTemplates(_ one: Golden.Case) throws {
        let template = ChatTemplate(one.template, file: "tokenizer_config.json")
        for (dialogue, text) in zip(try Self.golden().dialogues, one.dialogueTexts) {
            let turns = dialogue.turns.enumerated().map { $0.offset % 2 == 0 ? ChatPrompt.Turn.user($0.element) : .assistant($0.element) }
            let chat = ChatPrompt(try ChatFormat(template), template: template, system: dialogue.system, turns: turns)
            expectSame(one.begin + chat.text, text, "\(one.name)")
        }
    }

    @Test func unknownTemplatesAreRefusedWithTheNames() throws {
        for (name, text) in try Self.golden().unknown {
            expectError(.unsupported, field: "chat_template", rule: "chatml, llama3, gemma, mistral, phi, glm, zephyr", file: name) {
                _ = try ChatFormat(ChatTemplate(text, file: name))
            }
        }
    }

    @Test func marksMustBeTokens() throws {
        let chat = ChatPrompt(.chatml, user: "a")
        let error = #expect(throws: InputError.self) { try chat.tokens(Self.tokenizer(["<|im_start|>"])) }
        #expect(error?.rule.contains("<|im_end|>") == true)
        let tokenizer = try Self.tokenizer(["<|im_start|>", "<|im_end|>"])
        #expect(chat.endsOfTurn(tokenizer) == [257])
        let ids = try chat.tokens(tokenizer)
        #expect(ids.first == 256 && ids.filter { $0 == 257 }.count == 1 && tokenizer.decode(ids).hasSuffix("assistant\n"))
    }

    /// Where a model's folder has its template: the file of its own first, then the settings, where several may be listed.
    @Test func templatesAreFound() throws {
        func template(_ files: [String: String]) throws -> String? {
            let directory = try TemporaryDirectory()
            for (name, text) in files { try directory.write(text, to: name) }
            return try ChatTemplate(directory: directory.path)?.text
        }
        let settings = #"{"chat_template": "a"}"#
        #expect(try template([:]) == nil && template(["tokenizer_config.json": "{}"]) == nil)
        #expect(try template(["tokenizer_config.json": settings]) == "a")
        #expect(try template(["tokenizer_config.json": settings, "chat_template.jinja": "b"]) == "b")
        let list = #"{"chat_template": [{"name": "tool_use", "template": "c"}, {"name": "default", "template": "d"}]}"#
        #expect(try template(["tokenizer_config.json": list]) == "d")
        let path = try TemporaryDirectory()
        try path.write(#"{"chat_template": 3}"#, to: "tokenizer_config.json")
        expectError(.invalidData, field: "chat_template", rule: "text") { _ = try ChatTemplate(directory: path.path) }
    }
}
