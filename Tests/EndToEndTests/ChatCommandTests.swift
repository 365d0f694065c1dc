import AttentionTestSupport
import Foundation
import Testing

/// `generate --chat` continues what somebody would have written by hand.
@Suite struct ChatCommandTests {
    private static func tokens(_ model: TinyModel, _ arguments: [String]) throws -> [Int] {
        try #require(
            Program.json(["generate", "--model", model.path, "--max-tokens", "8"] + arguments)["tokens"] as? [Int])
    }

    private static func write(_ template: String, to model: TinyModel) throws {
        let settings = ["bos_token": "<|begin_of_text|>", "add_bos_token": true, "chat_template": template] as [String: Any]
        try model.scratch.write(JSONSerialization.data(withJSONObject: settings), to: "model/tokenizer_config.json")
    }

    @Test func theFormatIsNamedOrFound() throws {
        let model = try TinyModel(Scratch())
        let plain = try Self.tokens(model, ["--prompt", "[INST] a [/INST]"])
        #expect(try Self.tokens(model, ["--prompt", "a", "--chat", "mistral"]) == plain)
        #expect(try Self.tokens(model, ["--prompt", "a"]) != plain)
        let withSystem = try Self.tokens(model, ["--prompt", "[INST] - be brief\n\na [/INST]"])
        #expect(try Self.tokens(model, ["--prompt", "a", "--chat", "mistral", "--system", "- be brief"]) == withSystem)
        // The template varies the spaces, and the option may stand without a value.
        try Self.write("{{ bos_token }}{{ '[INST]' + messages[0]['content'] + '[/INST]' }}", to: model)
        let tight = try Self.tokens(model, ["--prompt", "[INST]a[/INST]"])
        #expect(try Self.tokens(model, ["--chat", "--prompt", "a"]) == tight)
        #expect(try Self.tokens(model, ["--prompt", "a", "--chat", "auto"]) == tight)
        #expect(
            try Program.json(["generate", "--model", model.path, "--max-tokens", "1", "--prompt", "a", "--chat"])["promptTokens"] as? Int
                == 15)
    }

    @Test func whatCannotBeWrittenIsRefused() throws {
        let model = try TinyModel(Scratch())
        let generate = ["generate", "--model", model.path, "--prompt", "a"]
        try expect(.usage, naming: ["chat: irc: must be one of auto, chatml"], generate + ["--chat", "irc"])
        try expect(.usage, naming: ["system: - a: needs --chat"], generate + ["--system", "- a"])
        try expect(.invalidData, naming: ["chat_template: is missing", "zephyr"], generate + ["--chat"])
        try expect(.invalidData, naming: ["chat: chatml: needs the token <|im_start|>"], generate + ["--chat", "chatml"])
        try Self.write("{{ messages[0]['content'] }}", to: model)
        try expect(.unsupported, naming: ["tokenizer_config.json: chat_template", "chatml, llama3"], generate + ["--chat"])
    }
}
