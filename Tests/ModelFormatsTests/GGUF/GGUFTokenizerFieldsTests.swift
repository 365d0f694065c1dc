import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

/// What a file says about the tokenizer.
@Suite struct GGUFTokenizerFieldsTests {
    private let directory: TemporaryDirectory
    private let llama = GGUFWriter(architecture: "llama")

    init() throws { directory = try TemporaryDirectory() }

    private func model(_ writer: GGUFWriter) throws -> GGUFModel { try GGUFModel(directory.write(writer.encoded(), to: "a.gguf")) }

    @Test func givesTheTokenizersFields() throws {
        let path = goldenFolder().appending(path: "tiny-q4_0.gguf").path
        let llama = try GGUFModel(path).tokenizerFields()
        #expect(llama.model == "llama" && llama.pre == "default" && llama.tokens.count == 320 && llama.tokens[1] == "<s>")
        #expect(llama.scores?.count == 320 && llama.types?.prefix(3) == [2, 3, 3] && llama.merges == nil)
        #expect(llama.beginOfText == 1 && llama.endOfText == 2 && llama.unknown == 0 && llama.padding == nil)
        #expect(llama.addsBeginOfText == true && llama.addsEndOfText == false && llama.addsSpacePrefix == true)
        #expect(llama.chatTemplate?.hasPrefix("{% for m in messages %}") == true)
        let gpt2 = try GGUFModel(goldenFolder().appending(path: "tiny-q8_0.gguf").path).tokenizerFields()
        #expect(gpt2.model == "gpt2" && gpt2.pre == "llama-bpe" && gpt2.scores == nil && gpt2.addsSpacePrefix == nil)
        #expect(gpt2.merges?.isEmpty == false && gpt2.merges?.allSatisfy { $0.split(separator: " ").count == 2 } == true)
    }

    @Test(
        arguments: [
            ("model", nil, "is missing"), ("tokens", nil, "is missing"), ("tokens", .text("a"), "must be a list of texts"),
            ("scores", .list([.float(1)], type: 6), "one element for each of 3 tokens"),
            ("token_type", .list([.int32(1)], type: 5), "one element for each of 3 tokens"),
            ("add_bos_token", .uint32(1), "must be true or false"), ("pre", .uint32(1), "must be a text"),
        ] as [(String, GGUFWriter.Value?, String)])
    func refusesTokenizers(name: String, value: GGUFWriter.Value?, rule: String) throws {
        var writer = llama
        writer["tokenizer.ggml." + name] = value
        let model = try model(writer)
        expectError(.invalidData, field: "tokenizer.ggml." + name, rule: rule) { _ = try model.tokenizerFields() }
    }

    @Test func namesTheElementOfAList() throws {
        var writer = llama
        writer["tokenizer.ggml.scores"] = .texts(["a", "b", "c"])
        let model = try model(writer)
        expectError(.invalidData, field: "tokenizer.ggml.scores[0]", rule: "must be one of numbers") { _ = try model.tokenizerFields() }
    }

    @Test func theTokenizersDigestIsThatOfItsKeys() throws {
        var writer = llama
        let digest = try model(writer).tokenizerSHA256()
        writer.metadata.reverse()
        writer["tokenizer.chat_template"] = .text("x")
        writer["llama.context_length"] = .uint32(512)
        #expect(try model(writer).tokenizerSHA256() == digest, "neither order nor other keys count")
        writer["tokenizer.ggml.add_bos_token"] = .bool(true)
        #expect(try model(writer).tokenizerSHA256() != digest)
    }
}
