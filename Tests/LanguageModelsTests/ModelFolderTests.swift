import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// Model folders as people have them: saved by several programs, with more or with less in them than a Llama needs.
@Suite struct ModelFolderTests {
    private static func load(_ tiny: TinyModel, ignoresExtraTensors: Bool = false) throws -> LanguageModel {
        try LanguageModel.load(
            from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)), ignoresExtraTensors: ignoresExtraTensors)
    }

    private static func logits(_ model: LanguageModel) throws -> [Float] {
        let tokens = try model.promptTokens(for: "Call me Ishmael.")
        return try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: .dense).logits
    }

    private static func tensor(_ name: String, like other: TinyModel.Tensor, times factor: Float = 1) -> TinyModel.Tensor {
        .init(name: name, shape: other.shape, values: other.values.map { $0 * factor })
    }

    /// Tensors of the decoder that nothing reads would change the answers; elsewhere they are counted and passed over.
    @Test func leftOverTensors() throws {
        let inLayers = ["self_attn.q_proj.bias", "self_attn.bias", "self_attn.q_norm.weight", "mlp.experts.0.up_proj.weight"]
        for name in inLayers.map({ "model.layers.0.\($0)" }) + ["model.norm.bias", "model.embed_norm.weight", "lm_head.bias"] {
            let tiny = try TinyModel(Scratch())
            let expected = try Self.logits(Self.load(tiny))
            tiny.tensors.append(.init(name: name, shape: [2], values: [1, 2]))
            try tiny.write()
            let error = #expect(throws: InputError.self) { try Self.load(tiny) }
            #expect(error?.code == .unsupported && error?.field == name)
            let model = try Self.load(tiny, ignoresExtraTensors: true)
            #expect(model.unreadTensors == [name])
            #expect(try Self.logits(model) == expected)
        }
        let tiny = try TinyModel(Scratch())
        let names = ["model.layers.1.self_attn.q_proj.weight", "vision_tower.weight", "multi_modal_projector.scale"]
        for name in names + ["model.layers.0.self_attn.rotary_emb.inv_freq"] {
            tiny.tensors.append(.init(name: name, shape: [1], values: [1]))
        }
        try tiny.write()
        #expect(try Self.load(tiny).unreadTensors == names.sorted())
    }

    /// A head that the file has counts, whatever the configuration says of ties.
    @Test func aHeadOfItsOwnCounts() throws {
        let tiny = try TinyModel(Scratch())
        let tied = try Self.logits(Self.load(tiny))
        tiny.tensors.append(Self.tensor("lm_head.weight", like: tiny.tensors[0], times: 2))
        try tiny.write()
        #expect(try Self.logits(Self.load(tiny)) == tied.map { $0 * 2 })
        tiny.configuration["tie_word_embeddings"] = false
        try tiny.write()
        #expect(try Self.logits(Self.load(tiny)) == tied.map { $0 * 2 })
        tiny.tensors.removeLast()
        try tiny.write()
        let error = #expect(throws: InputError.self) { try Self.load(tiny) }
        #expect(error?.field == "lm_head.weight")
    }

    /// A tied head that stands in the file as a copy of the embedding is left out where the model is saved anew.
    @Test func aCopyOfTheEmbeddingIsNoHead() throws {
        let tiny = try TinyModel(Scratch())
        let identity = try Self.load(tiny).identity()
        tiny.tensors.append(Self.tensor("lm_head.weight", like: tiny.tensors[0]))
        try tiny.write()
        let model = try Self.load(tiny)
        #expect(try model.identity() == identity && model.unreadTensors.isEmpty)
    }

    /// Gigabytes are not read before what their names tell is told.
    @Test func namesAreCheckedBeforeWeights() throws {
        let tiny = try TinyModel(Scratch())
        tiny.tensors[0].values[0] = .nan
        tiny.tensors.append(.init(name: "model.layers.0.self_attn.q_proj.bias", shape: [1], values: [1]))
        try tiny.write()
        let error = #expect(throws: InputError.self) { try Self.load(tiny) }
        #expect(error?.field == "model.layers.0.self_attn.q_proj.bias" && error?.remedy == .ignoreExtraTensors)
    }

    /// What people have in the place of a folder with safetensors and a tokenizer.json.
    @Test func otherFormatsAreNamed() throws {
        func expect(_ name: String, _ rule: String, _ change: (TinyModel) throws -> String) throws {
            let tiny = try TinyModel(Scratch())
            let path = try change(tiny)
            let error = #expect(throws: InputError.self) {
                try LanguageModel.load(from: path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
            }
            #expect(error?.code == .unsupported && error?.file?.hasSuffix(name) == true && error?.rule.contains(rule) == true, "\(name)")
        }
        for name in ["model.safetensors", "config.json"] {
            try expect("/own.gguf", "GGUF") { tiny in
                try FileManager.default.removeItem(atPath: tiny.path + "/" + name)
                try tiny.scratch.write("GGUF", to: "model/own.gguf")
                return tiny.path
            }
        }
        try expect("/adapter_config.json", "adapter") { tiny in
            try FileManager.default.removeItem(atPath: tiny.path + "/config.json")
            try tiny.scratch.write("{}", to: "model/adapter_config.json")
            return tiny.path
        }
        for name in ["tiktoken.model", "vocab.json"] {
            try expect("/" + name, "tokenizer.json") { tiny in
                try FileManager.default.moveItem(atPath: tiny.path + "/tokenizer.json", toPath: tiny.path + "/" + name)
                return tiny.path
            }
        }
    }

    /// A folder without a tokenizer.json, but with a SentencePiece model: pieces 0 to 3 are "<unk>", "<s>", "a" and U+2581.
    @Test func aSentencePieceModelIsATokenizer() throws {
        let tiny = try TinyModel(Scratch())
        try FileManager.default.removeItem(atPath: tiny.path + "/tokenizer.json")
        func piece(_ text: String, type: UInt8) -> [UInt8] {
            let fields = [0x0A, UInt8(text.utf8.count)] + Array(text.utf8) + [0x18, type]
            return [0x0A, UInt8(fields.count)] + fields
        }
        let pieces = piece("<unk>", type: 2) + piece("<s>", type: 3) + piece("a", type: 1) + piece("\u{2581}", type: 1)
        try tiny.scratch.write(Data(pieces + [0x12, 0x02, 0x18, 0x02]), to: "model/tokenizer.model")
        try tiny.scratch.write("{}", to: "model/tokenizer_config.json")
        let model = try Self.load(tiny)
        #expect(try model.promptTokens(for: "a b") == [1, 3, 2, 3, 0])
        #expect(try model.identity().tokenizerSHA256.count == 64)
        #expect(model.tokenizer.decode([3, 2, 3, 2]) == "a a")
    }

    /// The decoder alone, as it is saved without its head: names lack "model.".
    @Test func namesWithoutAPrefix() throws {
        let tiny = try TinyModel(Scratch())
        let model = try Self.load(tiny)
        let (identity, logits) = (try model.identity(), try Self.logits(model))
        for index in tiny.tensors.indices { tiny.tensors[index].name.trimPrefix("model.") }
        try tiny.write()
        let bare = try Self.load(tiny)
        #expect(try Self.logits(bare) == logits && bare.unreadTensors.isEmpty)
        #expect(try bare.identity() == identity)
        tiny.tensors.append(.init(name: "layers.0.self_attn.q_proj.bias", shape: [1], values: [1]))
        try tiny.write()
        #expect(throws: InputError.self) { try Self.load(tiny) }
    }

    /// The same weights in another order, or with others beside them, are the same model; another value or type is another one.
    @Test func identityIsThatOfTheTensors() throws {
        let tiny = try TinyModel(Scratch())
        let identity = try Self.load(tiny).identity()
        tiny.tensors.reverse()
        tiny.tensors.append(.init(name: "model.rotary_emb.inv_freq", shape: [2], values: [1, 2]))
        try tiny.write()
        #expect(try Self.load(tiny).identity() == identity)
        tiny.tensors[0].values[0] = tiny.tensors[0].values[0].nextUp
        try tiny.write()
        #expect(try Self.load(tiny).identity().weightsSHA256 != identity.weightsSHA256)
    }

    @Test(arguments: ["weight_scale", "weight_scale_inv", "weight.absmax", "SCB"])
    func quantizedWeightsAreNamed(part: String) throws {
        let tiny = try TinyModel(Scratch())
        tiny.tensors.append(.init(name: "model.layers.0.mlp.up_proj.\(part)", shape: [1], values: [1]))
        try tiny.write()
        let error = #expect(throws: InputError.self) { try Self.load(tiny) }
        #expect(error?.code == .unsupported && error?.rule.contains("quantised") == true, "\(error?.description ?? "")")
    }

    /// End tokens: `generation_config.json` before `config.json`, one or several.
    @Test func endTokensComeFromTheGenerationConfiguration() throws {
        let tiny = try TinyModel(Scratch())
        tiny.configuration["eos_token_id"] = 3
        try tiny.write()
        #expect(try Self.load(tiny).description.endOfText == [3])
        for (text, expected) in [("{\"eos_token_id\": [4, 5, 9999]}", [4, 5] as [Int32]), ("{\"eos_token_id\": 6}", [6]), ("{}", [3])] {
            try tiny.scratch.write(text, to: "model/generation_config.json")
            #expect(try Self.load(tiny).description.endOfText == expected)
        }
        try tiny.scratch.write("{\"eos_token_id\": \"six\"}", to: "model/generation_config.json")
        #expect(throws: InputError.self) { try Self.load(tiny) }
    }

    /// A padding token beyond the embedding is harmless until a prompt holds it.
    @Test func paddingBeyondTheVocabulary() throws {
        let tiny = try TinyModel(Scratch())
        let path = tiny.path + "/tokenizer.json"
        var tokenizer = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
        tokenizer["added_tokens"] =
            (tokenizer["added_tokens"] as? [Any] ?? []) + [["id": 257, "content": "<pad>", "special": true, "normalized": false]]
        try tiny.scratch.write(JSONSerialization.data(withJSONObject: tokenizer), to: "model/tokenizer.json")
        let model = try Self.load(tiny)
        #expect(try model.promptTokens(for: "pad").count == 4)
        #expect(throws: InputError.self) { try model.promptTokens(for: "a <pad>") }
    }
}
