import Foundation

/// A tiny Llama (one layer unless told) of 257 tokens (the bytes and begin-of-text) with seeded weights, written file by file so that a test
/// can break any part of it.
public final class TinyModel {
    public struct Tensor {
        public var name: String
        public var shape: [Int]
        public var values: [Float]

        public init(name: String, shape: [Int], values: [Float]) {
            self.name = name
            self.shape = shape
            self.values = values
        }
    }

    /// The extents of a tiny model.
    public struct Shape: Sendable {
        public var hidden = 16, queryHeads = 2, keyValueHeads = 1, headDimension = 8, intermediate = 24
        public var layers, positions: Int
        public let vocabulary = 257
        public var tied = true

        public init(layers: Int = 1, positions: Int = 512) {
            self.layers = layers
            self.positions = positions
        }
    }

    public let scratch: Scratch
    public var path: String { scratch.file("model") }
    public var configuration: [String: Any]
    public var tensors: [Tensor]

    /// Writes the model to `scratch/model`.
    public init(_ scratch: Scratch, shape s: Shape = Shape()) throws {
        self.scratch = scratch
        configuration = [
            "model_type": "llama", "hidden_size": s.hidden, "num_hidden_layers": s.layers, "num_attention_heads": s.queryHeads,
            "num_key_value_heads": s.keyValueHeads, "head_dim": s.headDimension, "intermediate_size": s.intermediate,
            "vocab_size": s.vocabulary, "max_position_embeddings": s.positions, "tie_word_embeddings": s.tied, "bos_token_id": 256,
        ]
        let (queries, keyValues) = (s.queryHeads * s.headDimension, s.keyValueHeads * s.headDimension)
        var shapes: [(String, [Int])] = [("model.embed_tokens.weight", [s.vocabulary, s.hidden]), ("model.norm.weight", [s.hidden])]
        for layer in 0..<s.layers {
            shapes += [
                ("input_layernorm", [s.hidden]), ("post_attention_layernorm", [s.hidden]), ("self_attn.q_proj", [queries, s.hidden]),
                ("self_attn.k_proj", [keyValues, s.hidden]), ("self_attn.v_proj", [keyValues, s.hidden]),
                ("self_attn.o_proj", [s.hidden, queries]), ("mlp.gate_proj", [s.intermediate, s.hidden]),
                ("mlp.up_proj", [s.intermediate, s.hidden]), ("mlp.down_proj", [s.hidden, s.intermediate]),
            ].map { ("model.layers.\(layer).\($0.0).weight", $0.1) }
        }
        if !s.tied { shapes.append(("lm_head.weight", [s.vocabulary, s.hidden])) }
        var state: UInt64 = 1
        tensors = shapes.map { name, shape in
            let values = (0..<shape.reduce(1, *)).map { _ in
                state = state &* 6364136223846793005 &+ 1442695040888963407
                return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
            }
            return Tensor(name: name, shape: shape, values: values)
        }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try scratch.write(Self.tokenizer(), to: "model/tokenizer.json")
        try scratch.write(#"{"bos_token": "<|begin_of_text|>", "add_bos_token": true}"#, to: "model/tokenizer_config.json")
        try write()
    }

    /// Writes `configuration` and `tensors` as they are now.
    public func write() throws {
        try scratch.write(JSONSerialization.data(withJSONObject: configuration), to: "model/config.json")
        var data = Data()
        var header: [String: Any] = [:]
        for tensor in tensors {
            let begin = data.count
            for value in tensor.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) } }
            header[tensor.name] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, data.count]]
        }
        try write(header: header, data: data)
    }

    public func write(header: [String: Any], data: Data) throws {
        let text = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
        try writeWeights(withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) } + text + data)
    }

    /// Changes one tensor's header entry and leaves the data as they are.
    public func damageHeader(of tensor: String, _ body: (inout [String: Any]) -> Void) throws {
        let bytes = try weights()
        let length = Int(bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        guard var header = try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any],
            var entry = header[tensor] as? [String: Any]
        else { throw CocoaError(.fileReadCorruptFile) }
        body(&entry)
        header[tensor] = entry
        try write(header: header, data: bytes[(8 + length)...])
    }

    public func weights() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path + "/model.safetensors")) }

    public func writeWeights(_ data: Data) throws { try scratch.write(data, to: "model/model.safetensors") }

    /// English enough for a few thousand byte tokens.
    public func writeText(_ name: String = "text.txt", characters: Int = 4000) throws -> String {
        let words = (0..<characters).map { "word\($0 * $0 % 97) " }.joined()
        return try scratch.write(String(words.prefix(characters)), to: name)
    }

    /// The byte-level tokenizer without merges: token b is byte b, token 256 begins a text.
    public static func tokenizer() throws -> Data { try tokenizer(of: Array(0...255)) }

    /// The same of printable ASCII and line feeds alone, 97 tokens, for models whose vocabulary is smaller than the bytes.
    public static func smallTokenizer() throws -> Data { try tokenizer(of: [0x0A] + Array(0x20...0x7E)) }

    private static func tokenizer(of bytes: [Int]) throws -> Data {
        let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
        let others = (0...255).filter { !printable.contains($0) }
        var vocabulary: [String: Int] = [:]
        for (id, byte) in bytes.enumerated() {
            let scalar = Unicode.Scalar(UInt32(others.firstIndex(of: byte).map { 0x100 + $0 } ?? byte))!
            vocabulary[String(Character(scalar))] = id
        }
        return try JSONSerialization.data(withJSONObject: [
            "added_tokens": [["id": bytes.count, "content": "<|begin_of_text|>", "special": true, "normalized": false] as [String: Any]],
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true], "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": vocabulary, "merges": [String]()] as [String: Any],
        ])
    }
}
