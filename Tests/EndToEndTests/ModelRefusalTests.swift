import AttentionTestSupport
import Foundation
import Testing

/// Broken model folders.
@Suite struct ModelRefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let refusal: Refusal
        let parts: [String]
        let damage: @Sendable (TinyModel) throws -> Void

        init(_ name: String, _ refusal: Refusal, _ parts: [String], _ damage: @escaping @Sendable (TinyModel) throws -> Void) {
            testDescription = name
            self.refusal = refusal
            self.parts = parts
            self.damage = damage
        }
    }

    private static let query = "model.layers.0.self_attn.q_proj.weight"

    static let cases: [Case] = [
        Case("weights cut short", .invalidData, ["model.safetensors", "data_offsets"]) { model in
            try model.writeWeights(model.weights().dropLast(100))
        },
        Case("weights cut inside the header", .invalidData, ["model.safetensors", "header", "must fit in the file"]) { model in
            try model.writeWeights(model.weights().prefix(200))
        },
        Case("weights of five bytes", .invalidData, ["model.safetensors", "header", "5 bytes"]) { model in
            try model.writeWeights(model.weights().prefix(5))
        },
        Case("empty weights", .invalidData, ["model.safetensors", "empty"]) { try $0.writeWeights(Data()) },
        Case("header length past the file", .invalidData, ["model.safetensors", "header", "1000000 bytes"]) { model in
            try model.writeWeights(withUnsafeBytes(of: UInt64(1_000_000).littleEndian) { Data($0) } + model.weights().dropFirst(8))
        },
        Case("header length of 2^64 - 1", .invalidData, ["model.safetensors", "header", "18446744073709551615"]) { model in
            try model.writeWeights(Data(repeating: 255, count: 8) + model.weights().dropFirst(8))
        },
        Case("offsets past the file", .invalidData, ["model.safetensors", query, "9999999"]) { model in
            try model.damageHeader(of: query) { $0["data_offsets"] = [0, 9_999_999] }
        },
        Case("offsets that overlap", .invalidData, ["model.safetensors", "overlap"]) { model in
            try model.damageHeader(of: query) { $0["data_offsets"] = [0, 1024] }
        },
        Case("shape that does not fit the bytes", .invalidData, ["model.safetensors", query, "[16, 17]", "1088"]) { model in
            try model.damageHeader(of: query) { $0["shape"] = [16, 17] }
        },
        Case("shape that overflows", .invalidData, ["model.safetensors", query, "overflow"]) { model in
            try model.damageHeader(of: query) { $0["shape"] = [1 << 40, 1 << 40] }
        },
        Case("unknown dtype", .unsupported, ["model.safetensors", query, "F13"]) { model in
            try model.damageHeader(of: query) { $0["dtype"] = "F13" }
        },
        Case("dtype of whole numbers", .unsupported, ["model.safetensors", query, "I32"]) { model in
            try model.damageHeader(of: query) { $0["dtype"] = "I32" }
        },
        Case("missing tensor", .invalidData, ["model.safetensors", query, "missing"]) { model in
            model.tensors.removeAll { $0.name == query }
            try model.write()
        },
        Case("wrong shape", .invalidData, ["model.safetensors", query, "[8, 32]", "[16, 16]"]) { model in
            try model.damageHeader(of: query) { $0["shape"] = [8, 32] }
        },
        Case("weight that is NaN", .invalidData, ["model.safetensors", query, "NaN at element 77"]) { model in
            model.tensors[4].values[77] = .nan
            try model.write()
        },
        Case("weight that is infinite", .invalidData, ["model.safetensors", query, "element 3"]) { model in
            model.tensors[4].values[3] = -.infinity
            try model.write()
        },
        Case("no weights", .missingInput, ["model.safetensors"]) { model in
            try FileManager.default.removeItem(atPath: model.path + "/model.safetensors")
        },
        Case("index that names a shard that is not there", .missingInput, ["model-00002-of-00002.safetensors"]) { model in
            try FileManager.default.removeItem(atPath: model.path + "/model.safetensors")
            try model.scratch.write(
                #"{"weight_map":{"model.norm.weight":"model-00002-of-00002.safetensors"}}"#, to: "model/model.safetensors.index.json")
        },
        Case("unknown model_type", .unsupported, ["config.json", "model_type", "mamba", "llama"]) { model in
            model.configuration["model_type"] = "mamba"
            try model.write()
        },
        Case("no config.json", .missingInput, ["config.json"]) { model in
            try FileManager.default.removeItem(atPath: model.path + "/config.json")
        },
        Case("config.json that is not JSON", .invalidData, ["config.json"]) {
            try $0.scratch.write("{\"model_type\": ", to: "model/config.json")
        },
        Case("head count that does not divide", .invalidData, ["config.json", "num_key_value_heads", "3"]) { model in
            model.configuration["num_key_value_heads"] = 3
            try model.write()
        },
        Case("sizes of terabytes", .invalidData, ["model.safetensors", "model.embed_tokens.weight", "[4194304, 131072]"]) { model in
            model.configuration["vocab_size"] = 1 << 22
            model.configuration["hidden_size"] = 1 << 17
            try model.write()
        },
        Case("activation that is not SiLU", .unsupported, ["config.json", "hidden_act", "gelu"]) { model in
            model.configuration["hidden_act"] = "gelu"
            try model.write()
        },
        Case("a Git LFS pointer", .invalidData, ["model.safetensors", "git-lfs pointer", "git lfs pull"]) { model in
            try model.writeWeights(Data("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n".utf8))
        },
        Case("tensor of a layer that a Llama does not have", .unsupported, ["q_proj.bias", "--ignore-extra-tensors"]) { model in
            model.tensors.append(.init(name: "model.layers.0.self_attn.q_proj.bias", shape: [16], values: Array(repeating: 0, count: 16)))
            try model.write()
        },
        Case("quantised weights by MLX", .unsupported, ["MLX", "quantised"]) { model in
            for part in ["scales", "biases"] {
                model.tensors.append(
                    .init(name: "model.layers.0.self_attn.q_proj." + part, shape: [16, 1], values: Array(repeating: 0, count: 16)))
            }
            try model.write()
            try model.damageHeader(of: query) { ($0["dtype"], $0["shape"]) = ("U32", [16, 16]) }
        },
        Case("quantised weights", .unsupported, ["config.json", "quantization_config"]) { model in
            model.configuration["quantization_config"] = ["bits": 4]
            try model.write()
        },
        Case("tokenizer.json that is not JSON", .invalidData, ["tokenizer.json"]) {
            try $0.scratch.write("{\"model\": {", to: "model/tokenizer.json")
        },
        Case("tokenizer of another kind", .unsupported, ["tokenizer.json"]) { model in
            try model.scratch.write(
                model.scratch.read("model/tokenizer.json").replacingOccurrences(of: "\"BPE\"", with: "\"Unigram\""),
                to: "model/tokenizer.json")
        },
        Case("no tokenizer", .missingInput, ["tokenizer.json"]) { model in
            try FileManager.default.removeItem(atPath: model.path + "/tokenizer.json")
        },
        Case("tokenizer with more tokens than the model", .invalidData, ["tokenizer.json", "vocab", "256"]) { model in
            model.configuration["vocab_size"] = 200
            model.tensors[0].shape = [200, 16]
            model.tensors[0].values.removeLast(57 * 16)
            try model.write()
        },
    ]

    @Test(arguments: cases)
    func refusesTheModel(_ broken: Case) throws {
        let model = try TinyModel(Scratch())
        try broken.damage(model)
        try expect(
            broken.refusal, naming: [model.path] + broken.parts, leaving: model.scratch,
            ["generate", "--model", model.path, "--prompt", "a", "--max-tokens", "1"])
    }

    @Test func refusesAModelFolderThatIsNotThere() throws {
        let scratch = try Scratch()
        try expect(
            .missingInput, naming: ["\(scratch.path)/none: there is no such folder"],
            ["generate", "--model", scratch.file("none"), "--prompt", "a"])
        let file = try scratch.write("", to: "file")
        try expect(.missingInput, naming: ["\(file): must be a folder"], ["profile", "--model", file])
    }

    /// Every weight is finite, yet their products are not.
    @Test(arguments: ["generate --prompt abc", "profile", "verify", "tune", "evaluate"])
    func refusesWeightsThatOverflow(_ command: String) throws {
        let model = try TinyModel(Scratch())
        for index in model.tensors.indices where model.tensors[index].name.contains("proj") {
            model.tensors[index].values = model.tensors[index].values.map { $0 * 1e30 }
        }
        try model.write()
        let text = try model.writeText()
        let options = [
            "profile": ["--text", text, "--length", "64"], "verify": ["--text", text, "--length", "64"],
            "tune": [
                "--text", text, "--length", "320", "--trials", "2", "--output", model.scratch.file("out"), "--latency-model",
                try Study.latencyModel(model.scratch, headDimension: 8),
            ],
            "evaluate": ["--perplexity", text, "--length", "64", "--stride", "64"],
        ]
        let outcome = try Program.run(command.split(separator: " ").map(String.init) + ["--model", model.path] + (options[command] ?? []))
        #expect(outcome.exitCode == Refusal.invalidData.rawValue)
        // A tuner measures heads on the way, and does not wait for what comes of them.
        let place = command == "tune" ? "layer 0, head 0: queries of L1 norm " : "\(model.path): hidden state of token "
        #expect(
            outcome.errors.hasPrefix("error: \(place)") && outcome.errors.filter { $0 == "\n" }.count == 1,
            "\(outcome.errors)")
        #expect(outcome.output.isEmpty && !FileManager.default.fileExists(atPath: model.scratch.file("out/config.json")))
    }

    /// Tensors that nothing reads are one warning; those in the layers too, where they are let pass.
    @Test func warnsOfTensorsThatAreNotRead() throws {
        let model = try TinyModel(Scratch())
        for name in ["vision_tower.scale", "model.layers.0.self_attn.q_norm.weight", "vision_tower.weight"] {
            model.tensors.append(.init(name: name, shape: [1], values: [1]))
        }
        try model.write()
        try model.damageHeader(of: "vision_tower.scale") { $0["dtype"] = "F8_E8M0" }
        let arguments = ["generate", "--model", model.path, "--prompt", "abc", "--max-tokens", "1", "--json"]
        let outcome = try Program.run(arguments + ["--ignore-extra-tensors"])
        #expect(outcome.exitCode == 0)
        let warnings = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("warning: \(model.path)") }
        #expect(warnings.count == 1 && warnings[0].hasSuffix("3 tensors are not read, such as model.layers.0.self_attn.q_norm.weight"))
        #expect(try Program.run(arguments).exitCode == Refusal.unsupported.rawValue)
    }

    /// Every weight and every hidden state is finite, yet the scores are not: nothing may come of them, neither tokens nor records.
    @Test(arguments: [
        "generate --prompt abc", "evaluate --perplexity TEXT --length 64 --stride 64", "evaluate --tasks TASKS --output OUT",
        "compare --methods dense,sample --tasks TASKS --output OUT", "compare --generate --methods dense --tasks TASKS",
        "tune --text TEXT --length 320 --trials 2 --output OUT --latency-model LATENCY",
    ])
    func refusesScoresThatOverflow(_ command: String) throws {
        var shape = TinyModel.Shape()
        shape.tied = false
        let model = try TinyModel(Scratch(), shape: shape)
        let head = try #require(model.tensors.firstIndex { $0.name == "lm_head.weight" })
        model.tensors[head].values = model.tensors[head].values.map { $0 * 1e38 }
        try model.write()
        let places = [
            "TEXT": try model.writeText(), "OUT": model.scratch.file("out"),
            "TASKS": try model.scratch.write(
                #"{"id":"a","task":"t","length":9,"prompt":"abc","answer":"d","scorer":"f1"}"#, to: "tasks.jsonl"),
            "LATENCY": try Study.latencyModel(model.scratch, headDimension: 8),
        ]
        let arguments = command.split(separator: " ").map { places[String($0)] ?? String($0) } + ["--model", model.path]
        let outcome = try Program.run(arguments)
        #expect(outcome.exitCode == Refusal.invalidData.rawValue && outcome.output.isEmpty, "\(outcome.errors.prefix(500))")
        #expect(
            outcome.errors.hasPrefix("error: \(model.path): ") && outcome.errors.filter { $0 == "\n" }.count == 1
                && outcome.errors.contains("score of token ") && outcome.errors.contains("must be finite"), "\(outcome.errors.prefix(500))")
        // What was measured before there were scores is kept, and would have to be continued.
        try? FileManager.default.removeItem(atPath: model.scratch.file("out"))
        let json = try Program.run(arguments + ["--json"])
        #expect(json.exitCode == Refusal.invalidData.rawValue)
        #expect(try (json.json()["error"] as? [String: String])?["code"] == "invalidData")
        for name in ["evaluation.json", "comparison.json", "config.json"] {
            #expect(!FileManager.default.fileExists(atPath: model.scratch.file("out/\(name)")))
        }
    }

    /// Positions that a model has and a machine has not.
    @Test(.enabled(if: Program.mayBeLimited)) func namesTheMemoryThatIsNotThere() throws {
        let model = try TinyModel(Scratch())
        model.configuration["max_position_embeddings"] = 1 << 27
        try model.write()
        for format in ["fp32", "int8"] {
            let tokens = format == "fp32" ? 100_000_000 : 134_217_727
            let command = "generate --model '\(model.path)' --prompt a --cache \(format) --max-tokens \(tokens)"
            // 64 bytes a position in FP32 and 24 in INT8.
            let outcome = try Program.shell("ulimit -v 2500000; exec \"$program\" \(command)")
            #expect(outcome.exitCode == Refusal.systemFailure.rawValue, "\(outcome.errors.prefix(500))")
            #expect(outcome.errors.hasPrefix("error: max-tokens: \(tokens): keys and values of "), "\(outcome.errors.prefix(500))")
            #expect(outcome.errors.contains(" bytes: the system does not give so much memory"), "\(outcome.errors.prefix(500))")
            let json = try Program.shell("ulimit -v 2500000; exec \"$program\" \(command) --json")
            #expect(try (json.json()["error"] as? [String: String])?["code"] == "systemFailure")
        }
    }

    /// The model that every case above breaks in one place must work when nothing is broken.
    @Test func runsTheModelThatIsWhole() throws {
        let model = try TinyModel(Scratch())
        let result = try Program.json(["generate", "--model", model.path, "--prompt", "abc", "--max-tokens", "5"])
        #expect(result["promptTokens"] as? Int == 4)
        #expect((result["tokens"] as? [Int])?.count == 5)
    }
}
