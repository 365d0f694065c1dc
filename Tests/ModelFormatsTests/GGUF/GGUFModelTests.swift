import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

/// The `config.json` that a file would have.
@Suite struct GGUFModelTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func model(_ writer: GGUFWriter) throws -> GGUFModel { try GGUFModel(directory.write(writer.encoded(), to: "a.gguf")) }

    private func configuration(_ writer: GGUFWriter) throws -> [String: String] {
        Dictionary(uniqueKeysWithValues: try model(writer).configuration.object.members.map { ($0.name, $0.value.summary) })
    }

    private static let common = [
        "hidden_size": "8", "num_hidden_layers": "2", "num_attention_heads": "2", "num_key_value_heads": "1", "head_dim": "4",
        "intermediate_size": "12", "vocab_size": "3", "max_position_embeddings": "256", "rms_norm_eps": "1e-05", "rope_theta": "500000.0",
        "tie_word_embeddings": "true", "bos_token_id": "0", "eos_token_id": "1",
    ]
    private static let plain = ["hidden_act": "\"silu\"", "attention_bias": "false", "mlp_bias": "false"]
    private static let gemma = [
        "hidden_act": "\"gelu_pytorch_tanh\"", "hidden_activation": "\"gelu_pytorch_tanh\"", "query_pre_attn_scalar": "4",
        "attention_bias": "false",
    ]

    struct Example: Sendable, CustomTestStringConvertible {
        let architecture: String
        let expected: [String: String]
        var testDescription: String { architecture }
    }

    static let examples: [Example] = [
        .init(architecture: "llama", expected: plain.merging(["model_type": "\"llama\""]) { $1 }),
        .init(architecture: "qwen2", expected: ["model_type": "\"qwen2\"", "hidden_act": "\"silu\""]),
        .init(architecture: "qwen3", expected: plain.merging(["model_type": "\"qwen3\""]) { $1 }),
        .init(
            architecture: "gemma2",
            expected: gemma.merging([
                "model_type": "\"gemma2\"", "sliding_window": "4096", "attn_logit_softcapping": "50.0", "final_logit_softcapping": "30.0",
            ]) { $1 }),
        .init(
            architecture: "gemma3",
            expected: gemma.merging([
                "model_type": "\"gemma3_text\"", "sliding_window": "32", "sliding_window_pattern": "6", "rope_local_base_freq": "10000.0",
                "attn_logit_softcapping": "null", "final_logit_softcapping": "null",
            ]) { $1 }),
    ]

    private func writer(_ architecture: String) -> GGUFWriter {
        var writer = GGUFWriter(architecture: architecture)
        if architecture == "gemma3" { writer["gemma3.attention.sliding_window"] = .uint32(32) }
        return writer
    }

    @Test(arguments: examples) func saysWhatAFolderWould(example: Example) throws {
        #expect(try configuration(writer(example.architecture)) == Self.common.merging(example.expected) { $1 })
    }

    /// The fields are read back by the reader of `config.json`.
    @Test func theConfigurationIsRead() throws {
        let model = try GGUFModel(goldenFolder().appending(path: "tiny-q4_k.gguf").path)
        let fields = model.configuration
        #expect(try fields.string("model_type") == "llama" && fields.file == model.path)
        #expect(try fields.integer("vocab_size", in: 1...1000) == 320 && fields.integer("head_dim", in: 1...100) == 16)
        #expect(try fields.number("rms_norm_eps", in: 0...1) == 1e-5)
        #expect(fields.value("rope_scaling") == nil && fields.value("partial_rotary_factor") == nil)
    }

    @Test func whatIsInTheFileCounts() throws {
        var llama = writer("llama")
        llama.tensors += [
            .init("output.weight", shape: [3, 8], seed: 1), .init("blk.0.attn_q.bias", shape: [8], seed: 1),
            .init("blk.0.ffn_down.bias", shape: [8], seed: 1),
        ]
        llama["llama.attention.key_length"] = nil
        llama["llama.rope.dimension_count"] = .uint32(2)
        llama["llama.attention.head_count_kv"] = .list([.int32(2), .int32(2)], type: 5)
        llama["tokenizer.ggml.eot_token_id"] = .uint32(2)
        llama["tokenizer.ggml.eom_token_id"] = .uint32(1)
        llama["tokenizer.ggml.bos_token_id"] = .uint32(.max)
        llama.tensors.removeAll { $0.name.hasSuffix("attn_k.weight") }
        let found = try configuration(llama)
        let expected = [
            "tie_word_embeddings": "false", "attention_bias": "true", "mlp_bias": "true", "head_dim": "4", "num_key_value_heads": "2",
            "partial_rotary_factor": "0.5", "eos_token_id": "[1, 2]",
        ]
        #expect(found.filter { expected[$0.key] != nil } == expected && found["bos_token_id"] == nil)

        var gemma2 = writer("gemma2")
        gemma2["gemma2.attention.sliding_window"] = .uint32(16)
        gemma2["gemma2.attn_logit_softcapping"] = .float(6)
        gemma2["gemma2.final_logit_softcapping"] = .float(0)
        gemma2["gemma2.block_count"] = .uint32(46)
        gemma2["gemma2.embedding_length"] = .uint32(8)
        gemma2["gemma2.attention.key_length"] = .uint32(2)
        let second = try configuration(gemma2)
        #expect(second["sliding_window"] == "16" && second["attn_logit_softcapping"] == "6.0")
        #expect(second["final_logit_softcapping"] == "null")
        #expect(second["head_dim"] == "2" && second["query_pre_attn_scalar"] == "4", "8 / 2 in the largest model")

        var gemma3 = writer("gemma3")
        gemma3["gemma3.block_count"] = .uint32(62)
        gemma3["gemma3.attention.key_length"] = .uint32(2)
        gemma3["gemma3.attention.sliding_window_pattern"] = .uint32(3)
        gemma3["gemma3.rope.freq_base_swa"] = .float(20_000)
        gemma3["gemma3.final_logit_softcapping"] = .float(30)
        let third = try configuration(gemma3)
        #expect(third["query_pre_attn_scalar"] == "4" && third["sliding_window_pattern"] == "3")
        #expect(third["rope_local_base_freq"] == "20000.0" && third["final_logit_softcapping"] == "30.0")
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout GGUFWriter) -> Void
        let field: String
        let rule: String
        let code: InputError.Code

        init(
            _ key: String, _ value: GGUFWriter.Value?, _ rule: String, code: InputError.Code = .invalidData
        ) {
            testDescription = "\(key), \(rule)"
            change = { $0[key] = value }
            (field, self.rule, self.code) = (key, rule, code)
        }
    }

    static let refusals: [Refusal] =
        ["context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"].flatMap { name in
            [
                Refusal("llama." + name, nil, "is missing"), Refusal("llama." + name, .uint32(0), "must be an integer in 1..."),
                Refusal("llama." + name, .uint32(.max), "must be an integer in 1..."),
                Refusal("llama." + name, .text("x"), "must be an integer in 1..."),
            ]
        } + [
            .init("llama.attention.layer_norm_rms_epsilon", nil, "is missing"),
            .init("llama.attention.layer_norm_rms_epsilon", .float(.nan), "must be a number from"),
            .init("llama.rope.freq_base", .float(0.5), "must be a number from"),
            .init("llama.attention.head_count_kv", .list([.int32(1), .int32(2)], type: 5), "layers that differ", code: .unsupported),
            .init("llama.feed_forward_length", .list([.int32(0), .int32(0)], type: 5), "must be integers in 1..."),
            .init("llama.feed_forward_length", .list([], type: 5), "must be an integer in 1..."),
            .init("llama.attention.value_length", .uint32(8), "not as long as keys", code: .unsupported),
            .init("llama.expert_count", .uint32(8), "not supported", code: .unsupported),
            .init("llama.logit_scale", .float(0.25), "not supported", code: .unsupported),
            .init("llama.attention.causal", .bool(false), "only causal", code: .unsupported),
            .init("llama.attention.sliding_window", .uint32(4096), "no sliding window", code: .unsupported),
            .init("tokenizer.ggml.eos_token_id", .text("x"), "must be an integer"),
            .init("llama.rope.scaling.type", .text("dynamic"), "must be none, linear, yarn or longrope", code: .unsupported),
            .init("llama.rope.scaling.type", .text("longrope"), "must have the tables"),
            .init("llama.rope.scale_linear", .float(0.5), "must be 0 or at least 1"),
            .init("general.architecture", .uint32(1), "must be a text"),
        ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        var writer = writer("llama")
        refusal.change(&writer)
        expectError(refusal.code, field: refusal.field, rule: refusal.rule) { _ = try model(writer) }
    }

    @Test func refusesWhatDoesNotFitTogether() throws {
        var llama = writer("llama")
        llama.tensors[0] = .init("token_embd.weight", shape: [3, 7], seed: 1)
        expectError(.invalidData, field: "token_embd.weight", value: "[3, 7]", rule: "rows of llama.embedding_length, 8") {
            _ = try model(llama)
        }
        llama.tensors.removeFirst()
        expectError(.invalidData, field: "model.embed_tokens.weight", rule: "tensor is missing") { _ = try model(llama) }
        var linear = writer("llama")
        linear["llama.rope.scaling.type"] = .text("linear")
        expectError(.invalidData, field: "llama.rope.scaling.factor", rule: "is missing") { _ = try model(linear) }
        var odd = writer("llama")
        odd["llama.attention.key_length"] = nil
        odd["llama.attention.head_count"] = .uint32(3)
        odd.tensors.removeAll { $0.name.contains("attn_q") }
        expectError(.invalidData, field: "llama.embedding_length", rule: "multiple of attention.head_count, 3") { _ = try model(odd) }
        var gemma3 = writer("gemma3")
        gemma3["gemma3.attention.sliding_window"] = nil
        expectError(.invalidData, field: "gemma3.attention.sliding_window", rule: "is missing") { _ = try model(gemma3) }
    }
}
