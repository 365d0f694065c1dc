import AttentionCore
import Foundation
import ModelFormats
import Testing

@Suite struct ModelConfigurationTests {
    /// The fields without a default, as JSON texts.
    private static let required: [String: String] = [
        "model_type": #""llama""#, "hidden_size": "384", "num_hidden_layers": "8", "num_attention_heads": "6",
        "intermediate_size": "896", "vocab_size": "4096",
    ]

    private func parse(_ changes: [String: String] = [:], without removed: String? = nil) throws -> ModelConfiguration {
        var fields = Self.required
        fields["max_position_embeddings"] = "32768"
        fields.merge(changes) { $1 }
        if let removed { fields[removed] = nil }
        let members = fields.sorted { $0.key < $1.key }.map { #""\#($0.key)": \#($0.value)"# }
        return try ModelConfiguration(parsing: "{\(members.joined(separator: ", "))}")
    }

    @Test func fillsDefaults() throws {
        let configuration = try parse()
        #expect(configuration.modelType == "llama")
        #expect(configuration.hiddenSize == 384 && configuration.layerCount == 8)
        #expect(configuration.queryHeads == 6 && configuration.keyValueHeads == 6 && configuration.headDimension == 64)
        #expect(configuration.intermediateSize == 896 && configuration.vocabularySize == 4096)
        #expect(configuration.maximumPositions == 32768 && configuration.normalizationEpsilon == 1e-6)
        #expect(configuration.rotaryBase == 10000 && configuration.rotaryScaling == .none)
        #expect(configuration.activation == "silu" && !configuration.tiesEmbeddings)
        #expect(!configuration.hasAttentionBias && !configuration.hasFeedForwardBias)
        #expect(configuration.slidingWindow == nil)
        #expect(configuration.endOfText == [])
    }

    @Test func readsEveryField() throws {
        let configuration = try parse([
            "num_key_value_heads": "2", "head_dim": "128", "rope_theta": "500000.0", "rms_norm_eps": "1e-05",
            "hidden_act": #""gelu""#, "tie_word_embeddings": "true", "attention_bias": "true", "mlp_bias": "true",
            "bos_token_id": "0", "eos_token_id": "[1, 4095]", "sliding_window": "4096", "rope_scaling": "null",
        ])
        #expect(configuration.keyValueHeads == 2 && configuration.headDimension == 128)
        #expect(configuration.rotaryBase == 500_000 && configuration.normalizationEpsilon == 1e-5)
        #expect(configuration.activation == "gelu" && configuration.tiesEmbeddings)
        #expect(configuration.hasAttentionBias && configuration.hasFeedForwardBias)
        #expect(configuration.endOfText == [1, 4095])
        #expect(configuration.slidingWindow == 4096)
        #expect(try parse(["sliding_window": "4096", "use_sliding_window": "false"]).slidingWindow == nil)
        #expect(try parse(["eos_token_id": "7"]).endOfText == [7])
    }

    private static let llama3 = """
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
        """

    @Test func readsRotaryScaling() throws {
        let expected = RotaryScaling.llama3(
            .init(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 8192))
        for name in ["type", "rope_type"] {
            #expect(try parse(["rope_scaling": #"{"\#(name)": "default"}"#]).rotaryScaling == .none)
            #expect(try parse(["rope_scaling": #"{"\#(name)": "linear", "factor": 4}"#]).rotaryScaling == .linear(factor: 4))
            #expect(try parse(["rope_scaling": #"{"\#(name)": "llama3", \#(Self.llama3)}"#]).rotaryScaling == expected)
        }
        let new = try parse(["rope_parameters": #"{"rope_theta": 5e5, "rope_type": "llama3", \#(Self.llama3)}"#])
        #expect(new.rotaryScaling == expected && new.rotaryBase == 500_000)
        let plain = try parse(["rope_parameters": #"{"rope_theta": 1000000}"#])
        #expect(plain.rotaryScaling == .none && plain.rotaryBase == 1_000_000)
    }

    /// As transformers 5 reads them: the old spelling counts before the new one, an original length that is not given is the model's
    /// own, end tokens that no score can name are left out, and Python's words for what JSON lacks are numbers.
    @Test func readsWhatTransformersReads() throws {
        let both = try parse([
            "rope_theta": "5000.0", "rope_scaling": #"{"type": "linear", "factor": 4.0}"#,
            "rope_parameters": #"{"rope_type": "default", "rope_theta": 7000.0}"#,
        ])
        #expect(both.rotaryScaling == .linear(factor: 4) && both.rotaryBase == 5000)
        let null = try parse([
            "rope_theta": "5000.0", "rope_scaling": "null", "rope_parameters": #"{"rope_type": "linear", "factor": 2.0}"#,
        ])
        #expect(null.rotaryScaling == .linear(factor: 2) && null.rotaryBase == 5000)
        let llama3 = try parse(["rope_scaling": #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#])
        #expect(
            llama3.rotaryScaling
                == .llama3(.init(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 32768)))
        let top = try parse([
            "original_max_position_embeddings": "512",
            "rope_scaling": #"{"rope_type": "llama3", \#(Self.llama3), "attention_factor": null}"#,
        ])
        #expect(
            top.rotaryScaling
                == .llama3(.init(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 512)))
        #expect(try parse(["rope_scaling": "{}", "rope_parameters": #"{"rope_theta": 7000.0}"#]).rotaryBase == 7000)
        #expect(try parse(without: "max_position_embeddings").maximumPositions == 2048)
        #expect(try parse(["eos_token_id": "[1, -1, 4096, 2]"]).endOfText == [1, 2])
        #expect(try parse(["initializer_range": "NaN", "router_bias": "[Infinity, -Infinity]"]).hiddenSize == 384)
    }

    @Test(arguments: required.keys.sorted()) func refusesMissing(field: String) {
        expectError(.invalidData, field: field, rule: "is missing", file: "config.json") { _ = try parse(without: field) }
        expectError(.invalidData, field: field, rule: "is missing") { _ = try parse([field: "null"]) }
        expectError(.invalidData, field: field, rule: "must be") { _ = try parse([field: "[]"]) }
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
        ("hidden_act", "\"\"", "not empty"), ("rope_scaling", "4", "must be an object"),
        ("sliding_window", "0", "an integer in"),
    ])
    func refuses(field: String, value: String, rule: String) {
        expectError(.invalidData, field: field, rule: rule, file: "config.json") { _ = try parse([field: value]) }
    }

    @Test(arguments: [
        (#"{"rope_type": "yarn", "factor": 4}"#, InputError.Code.unsupported, "rope_scaling.rope_type", "\"linear\""),
        (#"{"type": "dynamic", "factor": 4}"#, .unsupported, "rope_scaling.type", "\"linear\""),
        (#"{"rope_type": "linear", "factor": 4, "mscale": 1}"#, .unsupported, "rope_scaling.mscale", "not supported"),
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
        expectError(code, field: field, rule: rule) { _ = try parse(["rope_scaling": json]) }
    }

    @Test func refusesWhatWouldChangeTheModel() {
        expectError(.unsupported, field: "quantization_config") { _ = try parse(["quantization_config": "{}"]) }
        expectError(.unsupported, field: "partial_rotary_factor") { _ = try parse(["partial_rotary_factor": "0.5"]) }
        expectError(.unsupported, field: "quantization") { _ = try parse(["quantization": #"{"bits": 4}"#]) }
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
        let error = #expect(throws: InputError.self) { _ = try ModelConfiguration(parsing: text) }
        #expect(error?.rule.contains(rule) ?? false, "\(error.map(\.description) ?? "")")
    }

    @Test func readsEscapesAndTheModelTypeAlone() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(
            #"{"model_type": "q\u0077\"\\\/\n\ud83d\ude42", "x": [{}, [], -1.5e+3]}"#,
            to: "config.json")
        #expect(try ModelConfiguration.modelType(ofFile: path) == "qw\"\\/\n🙂")
        expectError(.missingInput, file: directory.path + "/absent") { _ = try ModelDirectory(directory.path + "/absent") }
        expectError(.missingInput, file: path) { _ = try ModelDirectory(path) }
        expectError(.invalidData, field: "hidden_size", file: path) { _ = try ModelDirectory(directory.path) }
    }
}
