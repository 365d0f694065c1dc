import AttentionCore
import AttentionTestSupport
import Foundation
import LanguageModels
import Testing

/// What a `config.json` says, and what is refused of one; the families' own settings are checked by `FamilyTests`.
@Suite struct DecoderDescriptionTests {
    /// The fields without a default, as JSON texts.
    static let required: [String: String] = [
        "hidden_size": "384", "num_hidden_layers": "8", "num_attention_heads": "6", "intermediate_size": "896", "vocab_size": "4096",
    ]

    static func parse(
        _ type: String = "llama", _ changes: [String: String] = [:], without removed: String? = nil
    ) throws -> DecoderDescription {
        var fields = required
        fields["model_type"] = "\"\(type)\""
        fields["max_position_embeddings"] = "32768"
        // Other families have other defaults, which do not fit these heads.
        if type != "llama" { fields["num_key_value_heads"] = "2" }
        fields.merge(changes) { $1 }
        if let removed { fields[removed] = nil }
        let members = fields.sorted { $0.key < $1.key }.map { #""\#($0.key)": \#($0.value)"# }
        return try DecoderDescription(parsing: "{\(members.joined(separator: ", "))}")
    }

    static func parse(_ changes: [String: String]) throws -> DecoderDescription { try parse("llama", changes) }

    private func rotary(_ changes: [String: String]) throws -> RotaryDescription {
        try #require(Self.parse(changes).layers[0].attention.rotary)
    }

    func expectError(
        _ code: InputError.Code, field: String, rule: String? = nil, _ body: () throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: InputError.self, sourceLocation: sourceLocation, performing: body)
        guard let error else { return }
        let matches = error.code == code && error.field == field && error.file == "config.json" && (rule.map(error.rule.contains) ?? true)
        #expect(matches, "\(error.code): \(error.description)", sourceLocation: sourceLocation)
    }

    @Test func fillsDefaults() throws {
        let description = try Self.parse()
        #expect(description.modelType == "llama" && description.hiddenSize == 384 && description.layerCount == 8)
        #expect(description.queryHeads == 6 && description.keyValueHeads == 6 && description.headDimension == 64)
        #expect(description.vocabularySize == 4096 && description.maximumPositions == 32768 && description.norm.epsilon == 1e-6)
        #expect(!description.head.isTied && description.endOfText == [] && description.fullAttentionLayers == Array(0..<8))
        let layer = description.layers[7]
        #expect(layer.feedForward == .gated(width: 896, activation: .silu, hasBias: false))
        #expect(layer.attention.rotary?.base == 10000 && layer.attention.rotary?.scaling == RotaryScaling.none)
        #expect(layer.attention.scoreScale == 0.125 && !layer.attention.hasInputBias && !layer.attention.hasOutputBias)
    }

    @Test func readsEveryField() throws {
        let description = try Self.parse([
            "num_key_value_heads": "2", "head_dim": "128", "rope_theta": "500000.0", "rms_norm_eps": "1e-05",
            "hidden_act": #""gelu_pytorch_tanh""#, "tie_word_embeddings": "true", "attention_bias": "true", "mlp_bias": "true",
            "bos_token_id": "0", "eos_token_id": "[1, 4095]", "rope_scaling": "null", "sliding_window": "null",
        ])
        #expect(description.keyValueHeads == 2 && description.headDimension == 128 && description.norm.epsilon == 1e-5)
        #expect(description.head.isTied && description.endOfText == [1, 4095])
        let layer = description.layers[0]
        #expect(layer.attention.rotary?.base == 500_000 && layer.attention.hasInputBias && layer.attention.hasOutputBias)
        #expect(layer.feedForward == .gated(width: 896, activation: .geluTanh, hasBias: true))
        #expect(try Self.parse(["eos_token_id": "7"]).endOfText == [7])
    }

    /// A window counts where the family has one, and where it is used.
    @Test func readsWindows() throws {
        let window = ["sliding_window": "4096"]
        #expect(try Self.parse("mistral", window).layers.allSatisfy { $0.attention.window == 4096 })
        #expect(try Self.parse("mistral", ["sliding_window": "null"]).fullAttentionLayers.count == 8)
        #expect(try Self.parse("qwen2", window).fullAttentionLayers.count == 8)
        let upper = try Self.parse("qwen2", ["sliding_window": "4096", "use_sliding_window": "true", "max_window_layers": "5"])
        #expect(upper.fullAttentionLayers == [0, 1, 2, 3, 4])
        let types =
            #"["full_attention", "sliding_attention", "full_attention", "full_attention", "full_attention", "full_attention", "#
            + #""full_attention", "sliding_attention"]"#
        let listed = try Self.parse("qwen2", ["sliding_window": "16", "use_sliding_window": "true", "layer_types": types])
        #expect(listed.fullAttentionLayers == [0, 2, 3, 4, 5, 6])
        #expect(try Self.parse("gemma2", ["head_dim": "64"]).fullAttentionLayers == [1, 3, 5, 7])
        #expect(try Self.parse("gemma3_text", ["head_dim": "64"]).fullAttentionLayers == [5])
        expectError(.unsupported, field: "sliding_window") { _ = try Self.parse(window) }
        expectError(.unsupported, field: "layer_types", rule: "8 entries") {
            _ = try Self.parse("mistral", ["layer_types": #"["chunked_attention"]"#])
        }
    }

    private static let llama3 = """
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
        """

    @Test func readsRotaryScaling() throws {
        func scaling(_ json: String) throws -> RotaryScaling { try rotary(["rope_scaling": json]).scaling }
        func isLlama3(_ scaling: RotaryScaling, original: Int) -> Bool {
            guard case .llama3(let own) = scaling else { return false }
            return own.factor == 8 && own.lowFrequencyFactor == 1 && own.highFrequencyFactor == 4
                && own.originalMaximumPositions == original
        }
        for name in ["type", "rope_type"] {
            #expect(try scaling(#"{"\#(name)": "default"}"#) == .none)
            #expect(try scaling(#"{"\#(name)": "linear", "factor": 4}"#) == .linear(factor: 4))
            #expect(try scaling(#"{"\#(name)": "dynamic", "factor": 4}"#) == .dynamic(factor: 4, length: 32768))
            #expect(isLlama3(try scaling(#"{"\#(name)": "llama3", \#(Self.llama3)}"#), original: 8192))
        }
        let new = try rotary(["rope_parameters": #"{"rope_theta": 5e5, "rope_type": "llama3", \#(Self.llama3)}"#])
        #expect(isLlama3(new.scaling, original: 8192) && new.base == 500_000)
        let plain = try rotary(["rope_parameters": #"{"rope_theta": 1000000}"#])
        #expect(plain.scaling == .none && plain.base == 1_000_000)
        guard case .yarn(let yarn) = try scaling(#"{"rope_type": "yarn", "factor": 4}"#) else { throw CocoaError(.coderInvalidValue) }
        #expect(yarn.fastTurns == 32 && yarn.slowTurns == 1 && yarn.roundsRamp && abs(yarn.magnitude - (0.1 * log(4) + 1)) < 1e-12)
    }

    /// As transformers 5 reads them: the old spelling counts before the new one, an original length that is not given is the model's
    /// own, end tokens that no score can name are left out, and Python's words for what JSON lacks are numbers.
    @Test func readsWhatTransformersReads() throws {
        let both = try rotary([
            "rope_theta": "5000.0", "rope_scaling": #"{"type": "linear", "factor": 4.0}"#,
            "rope_parameters": #"{"rope_type": "default", "rope_theta": 7000.0}"#,
        ])
        #expect(both.scaling == .linear(factor: 4) && both.base == 5000)
        let null = try rotary([
            "rope_theta": "5000.0", "rope_scaling": "null", "rope_parameters": #"{"rope_type": "linear", "factor": 2.0}"#,
        ])
        #expect(null.scaling == .linear(factor: 2) && null.base == 5000)
        func original(_ changes: [String: String]) throws -> Int? {
            guard case .llama3(let own) = try rotary(changes).scaling else { return nil }
            return own.originalMaximumPositions
        }
        #expect(
            try original(["rope_scaling": #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#]) == 32768)
        #expect(
            try original([
                "original_max_position_embeddings": "512",
                "rope_scaling": #"{"rope_type": "llama3", \#(Self.llama3), "attention_factor": null}"#,
            ]) == 512)
        #expect(try rotary(["rope_scaling": "{}", "rope_parameters": #"{"rope_theta": 7000.0}"#]).base == 7000)
        #expect(try Self.parse(without: "max_position_embeddings").maximumPositions == 2048)
        #expect(try Self.parse(["eos_token_id": "[1, -1, 4096, 2]"]).endOfText == [1, 2])
        #expect(try Self.parse(["initializer_range": "NaN", "some_list": "[Infinity, -Infinity]"]).hiddenSize == 384)
    }

    @Test(arguments: required.keys.sorted()) func refusesMissing(field: String) {
        expectError(.invalidData, field: field, rule: "is missing") { _ = try Self.parse(without: field) }
        expectError(.invalidData, field: field, rule: "is missing") { _ = try Self.parse([field: "null"]) }
        expectError(.invalidData, field: field, rule: "must be") { _ = try Self.parse([field: "[]"]) }
    }

    @Test(arguments: [
        ("hidden_size", "0", "1...131072"), ("hidden_size", "-4", "1...131072"), ("hidden_size", "1e9", "an integer"),
        ("hidden_size", "384.0", "an integer"), ("hidden_size", "\"384\"", "an integer"),
        ("hidden_size", "99999999999999999999", "an integer"), ("hidden_size", "385", "a multiple of num_attention_heads"),
        ("hidden_size", "390", "must be even"), ("head_dim", "63", "must be even"), ("head_dim", "2048", "at most 1024"),
        ("num_hidden_layers", "1025", "1...1024"), ("num_attention_heads", "0", "1...1024"),
        ("num_key_value_heads", "4", "must divide num_attention_heads, 6"), ("num_key_value_heads", "0", "1...1024"),
        ("vocab_size", "4611686018427387904", "1...4194304"), ("max_position_embeddings", "134217729", "1...134217728"),
        ("rope_theta", "0", "a number from"), ("rope_theta", "\"big\"", "a number from"), ("rms_norm_eps", "-1e-5", "a number from"),
        ("tie_word_embeddings", "1", "true or false"), ("attention_bias", "\"no\"", "true or false"),
        ("eos_token_id", "1.5", "must be a token id"), ("eos_token_id", "[1, \"2\"]", "must be a token id"),
        ("rope_theta", "NaN", "a number from"), ("rope_theta", "Infinity", "a number from"),
        ("hidden_act", "\"\"", "not empty"), ("rope_scaling", "4", "must be an object"), ("sliding_window", "0", "an integer in"),
    ])
    func refuses(field: String, value: String, rule: String) {
        expectError(.invalidData, field: field, rule: rule) { _ = try Self.parse([field: value]) }
    }

    @Test(arguments: [
        (#"{"rope_type": "mrope", "factor": 4}"#, InputError.Code.unsupported, "rope_scaling.rope_type", "\"linear\""),
        (#"{"rope_type": "linear", "factor": 4, "mscale": 1}"#, .unsupported, "rope_scaling.mscale", "not supported"),
        (#"{"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}"#, .invalidData, "rope_scaling.short_factor", "32 numbers"),
        (#"{"rope_type": "longrope", "short_factor": ["a"]}"#, .invalidData, "rope_scaling.short_factor", "a list of numbers"),
        (#"{"factor": 4}"#, .invalidData, "rope_scaling.rope_type", "is missing"),
        (#"{"rope_type": "linear", "type": "llama3", "factor": 4}"#, .invalidData, "rope_scaling.type", "must equal"),
        (#"{"rope_type": "linear"}"#, .invalidData, "rope_scaling.factor", "is missing"),
        (#"{"rope_type": "linear", "factor": 0.5}"#, .invalidData, "rope_scaling.factor", "a number from"),
        (#"{"rope_type": "linear", "factor": NaN}"#, .invalidData, "rope_scaling.factor", "a number from"),
        (#"{"rope_type": "llama3", "factor": 8}"#, .invalidData, "rope_scaling.low_freq_factor", "is missing"),
        (
            #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "#
                + #""original_max_position_embeddings": 8}"#,
            .invalidData, "rope_scaling.high_freq_factor", "greater than"
        ),
    ])
    func refusesScaling(json: String, code: InputError.Code, field: String, rule: String) {
        expectError(code, field: field, rule: rule) { _ = try Self.parse(["rope_scaling": json]) }
    }

    /// Settings that would change the result and that nobody reads.
    @Test(arguments: [
        ("llama", "attn_logit_softcapping", "50.0"), ("llama", "num_experts", "8"), ("llama", "qk_norm", "true"),
        ("llama", "residual_multiplier", "0.5"), ("llama", "rope_interleaved", "true"), ("llama", "quantization_config", "{}"),
        ("llama", "quantization", #"{"bits": 4}"#), ("qwen2", "use_mrope", "true"), ("gemma2", "attention_bias", "true"),
        ("cohere2", "use_qk_norm", "true"), ("mistral", "hidden_act", "\"gelu\""), ("gemma3_text", "use_bidirectional_attention", "true"),
    ])
    func refusesWhatWouldChangeTheModel(type: String, field: String, value: String) {
        expectError(.unsupported, field: field) { _ = try Self.parse(type, [field: value]) }
    }

    /// What a family takes where its file says nothing, null, or something that only other families read: as transformers 5.
    @Test func followsEachFamilysOwnDefaults() throws {
        #expect(try Self.parse("mistral").layers.allSatisfy { $0.attention.window == 4096 })
        #expect(try Self.parse("mistral", ["use_sliding_window": "false", "sliding_window": "64"]).layers[0].attention.window == 64)
        #expect(try Self.parse("mistral", ["num_key_value_heads": "null"]).keyValueHeads == 6)
        #expect(try Self.parse("phi3").fullAttentionLayers.count == 8)
        #expect(try Self.parse("qwen3", ["use_sliding_window": "true", "max_window_layers": "6"]).fullAttentionLayers.count == 6)
        let moe = ["num_experts": "4", "use_sliding_window": "true", "max_window_layers": "6", "hidden_act": "\"gelu_new\""]
        let mixture = try Self.parse("qwen3_moe", moe)
        #expect(mixture.fullAttentionLayers == [] && mixture.layers[0].attention.window == 4096)
        guard case .experts(let experts) = mixture.layers[0].feedForward else { throw CocoaError(.coderInvalidValue) }
        #expect(experts.activation == .geluTanh && experts.width == 768 && experts.active == 4)
        // Layers that do not mark positions are those with a window.
        let smol = try Self.parse("smollm3", ["use_sliding_window": "true", "sliding_window": "16"])
        #expect(smol.fullAttentionLayers == [0, 1, 2, 4, 5, 6] && smol.layers[3].attention.rotary == nil)
        let gemma = try Self.parse("gemma2", ["hidden_act": "\"silu\""]).layers[0].feedForward
        #expect(gemma == .gated(width: 896, activation: .geluTanh, hasBias: false))
        for type in ["gemma2", "gemma3_text", "cohere2"] {
            expectError(.invalidData, field: "sliding_window", rule: "must not be null") {
                _ = try Self.parse(type, ["sliding_window": "null"])
            }
        }
        for type in ["ministral3", "gpt_oss"] {
            expectError(.invalidData, field: "rope_parameters", rule: "is missing") { _ = try Self.parse(type) }
        }
        let kinds = #"{"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_type": "default"}}"#
        let mixed = try Self.parse(
            "gemma3_text",
            ["rope_theta": "5e5", "rope_parameters": kinds, "rope_scaling": #"{"rope_type": "linear", "factor": 8}"#])
        #expect(mixed.layers[5].attention.rotary?.scaling == .linear(factor: 8))
        #expect(mixed.layers[0].attention.rotary?.scaling == RotaryScaling.none && mixed.layers[0].attention.rotary?.base == 10_000)
        let old =
            #"{"type": "yarn", "short_factor": \#(Array(repeating: 1, count: 32)), "long_factor": \#(Array(repeating: 2, count: 32))}"#
        guard case .longrope(let long) = try Self.parse("phi3", ["rope_scaling": old]).layers[0].attention.rotary?.scaling else {
            throw CocoaError(.coderInvalidValue)
        }
        #expect(long.originalMaximumPositions == 4096 && long.magnitude == (1 + log(8.0) / log(4096.0)).squareRoot())
    }

    /// Settings of other programs and of training are no matter.
    @Test func passesOverWhatDoesNotMatter() throws {
        let description = try Self.parse([
            "attention_dropout": "0.1", "initializer_range": "0.02", "pretraining_tp": "1", "is_llama_config": "true",
            "rope_interleaved": "false", "transformers.js_config": #"{"kv_cache_dtype": "fp16"}"#, "_attn_implementation_autoset": "true",
            "use_cache": "true", "auto_map": #"{"AutoConfig": "x"}"#, "qk_norm": "false", "num_experts": "0",
        ])
        #expect(description.layerCount == 8)
    }

    @Test func namesTheFamiliesOfAnUnknownOne() {
        for type in ["mamba", "falcon", "Llama", ""] {
            let error = #expect(throws: InputError.self) { try Self.parse(type) }
            #expect(error?.field == "model_type", "\(error.map(\.description) ?? "")")
        }
        expectError(.unsupported, field: "model_type", rule: "qwen3_moe, smollm3; notebooks-md/adding-a-family.md") {
            _ = try Self.parse("mamba")
        }
    }

    /// A model that reads images too says what its text part is; what it lacks is the family's default.
    @Test func readsTheTextPart() throws {
        let text =
            #"{"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "#
            + #""rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}"#
        let wrapped = try DecoderDescription(
            parsing: #"{"model_type": "gemma3", "text_config": \#(text), "vision_config": {"hidden_size": 1152}, "eos_token_id": [1, 106]}"#
        )
        #expect(wrapped.modelType == "gemma3_text" && wrapped.hiddenSize == 2560 && wrapped.layerCount == 34)
        #expect(wrapped.headDimension == 256 && wrapped.queryHeads == 8 && wrapped.vocabularySize == 262_208)
        #expect(wrapped.fullAttentionLayers == [5, 11, 17, 23, 29] && wrapped.endOfText == [1, 106])
        #expect(wrapped.layers[5].attention.rotary?.scaling == .linear(factor: 8) && wrapped.layers[5].attention.rotary?.base == 1_000_000)
        #expect(wrapped.layers[4].attention.rotary?.scaling == RotaryScaling.none && wrapped.layers[4].attention.rotary?.base == 10_000)
        expectError(.invalidData, field: "text_config", rule: "is missing") {
            _ = try DecoderDescription(parsing: #"{"model_type": "gemma3"}"#)
        }
    }

    @Test(arguments: [
        ("", "ends too early"), ("[]", "must be an object"), ("{\"a\": 01}", "expected a value"), ("{\"a\": 1.}", "digits"),
        ("{\"a\": NaM}", "unknown word"), ("{\"a\": -Inf}", "unknown word"), ("{\"a\": 1e999}", "out of range"),
        ("{\"a\": tru}", "unknown word"),
        ("{\"a\": 1,}", "member name"), ("{'a': 1}", "member name"), ("{\"a\" 1}", "colon"), ("{\"a\": \"\\x\"}", "escape"),
        ("{\"a\": \"\\ud800\"}", "surrogate"), ("{\"a\": \"\\ud800\\u0041\"}", "surrogate"),
        ("{\"a\": \"\\udc00\"}", "surrogate"),
        ("{\"a\": \"\\u00g0\"}", "hexadecimal"), ("{\"a\": \"x\ny\"}", "control characters"),
        ("{\"a\": \"x", "inside a string"),
        ("{\"a\": [1 2]}", "comma"), ("{} x", "end after"), ("{\"a\":1, \"a\":2}", "occurs twice"),
    ])
    func refusesJSON(text: String, rule: String) {
        let error = #expect(throws: InputError.self) { _ = try DecoderDescription(parsing: text) }
        #expect(error?.rule.contains(rule) ?? false, "\(error.map(\.description) ?? "")")
    }

    @Test func readsAFolder() throws {
        let scratch = try Scratch()
        let text = #"{"model_type": "q\u0077\"\\\/\n\ud83d\ude42", "x": [{}, [], -1.5e+3]}"#
        try scratch.write(text, to: "config.json")
        let error = #expect(throws: InputError.self) { try DecoderDescription(modelAt: scratch.path) }
        #expect(error?.value == "\"qw\"\\/\n🙂\"", "\(error?.value ?? "")")
        let absent = #expect(throws: InputError.self) { try DecoderDescription(modelAt: scratch.path + "/absent") }
        #expect(absent?.code == .missingInput)
    }
}
