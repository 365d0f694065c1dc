import AttentionCore

/// Builds a small GGUF file in memory, sound unless its fields say otherwise.
public struct GGUFWriter: Sendable {
    /// A metadata value as it stands in the file.
    public struct Value: Sendable {
        public let type: UInt32
        public let bytes: [UInt8]

        public init(type: UInt32, bytes: [UInt8]) { (self.type, self.bytes) = (type, bytes) }

        public static func uint32(_ value: UInt32) -> Value { Value(type: 4, bytes: littleEndian(value)) }
        public static func int32(_ value: Int32) -> Value { Value(type: 5, bytes: littleEndian(value)) }
        public static func uint16(_ value: UInt16) -> Value { Value(type: 2, bytes: littleEndian(value)) }
        public static func float(_ value: Float) -> Value { Value(type: 6, bytes: littleEndian(value.bitPattern)) }
        public static func bool(_ value: Bool) -> Value { Value(type: 7, bytes: [value ? 1 : 0]) }
        public static func text(_ value: String) -> Value { Value(type: 8, bytes: GGUFWriter.text(value)) }
        public static func list(_ values: [Value], type: UInt32) -> Value {
            Value(type: 9, bytes: littleEndian(type) + littleEndian(UInt64(values.count)) + values.flatMap(\.bytes))
        }
        public static func texts(_ values: [String]) -> Value { list(values.map(text), type: 8) }
    }

    public struct Tensor: Sendable {
        public var name: String
        /// Outermost first.
        public var shape: [UInt64]
        public var type: UInt32
        public var data: [UInt8]
        /// In place of the offset that is right.
        public var offset: UInt64?

        public init(_ name: String, shape: [UInt64], type: UInt32, data: [UInt8], offset: UInt64? = nil) {
            (self.name, self.shape, self.type, self.data, self.offset) = (name, shape, type, data, offset)
        }

        public init(_ name: String, shape: [UInt64], _ values: [Float]) {
            self.init(name, shape: shape, type: 0, data: values.flatMap { littleEndian($0.bitPattern) })
        }

        /// Seeded numbers.
        public init(_ name: String, shape: [UInt64], seed: UInt64) {
            var generator = SeededGenerator(seed: seed)
            self.init(name, shape: shape, (0..<shape.reduce(1, *)).map { _ in Float(generator.uniform() - 0.5) })
        }

        /// The numbers of an F32 tensor.
        public var floats: [Float] {
            data.withUnsafeBytes { bytes in
                (0..<data.count / 4).map {
                    Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
                }
            }
        }
    }

    public var version: UInt32 = 3
    public var metadata: [(key: String, value: Value)] = []
    public var tensors: [Tensor] = []
    public var alignment = 32

    public init() {}

    public subscript(key: String) -> Value? {
        get { metadata.first { $0.key == key }?.value }
        set {
            metadata.removeAll { $0.key == key }
            if let newValue { metadata.append((key, newValue)) }
        }
    }

    public static func text(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + Array(text.utf8) }

    private func padding(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: (alignment - count % alignment) % alignment) }

    public func encoded() -> [UInt8] {
        var bytes = Array("GGUF".utf8) + littleEndian(version) + littleEndian(UInt64(tensors.count)) + littleEndian(UInt64(metadata.count))
        for (key, value) in metadata { bytes += Self.text(key) + littleEndian(value.type) + value.bytes }
        var data: [UInt8] = []
        for tensor in tensors {
            bytes += Self.text(tensor.name) + littleEndian(UInt32(tensor.shape.count)) + tensor.shape.reversed().flatMap(littleEndian)
            bytes += littleEndian(tensor.type) + littleEndian(tensor.offset ?? UInt64(data.count))
            data += tensor.data
            data += padding(data.count)
        }
        return bytes + padding(bytes.count) + data
    }
}

extension GGUFWriter {
    /// A model of two layers, two query heads, one key/value head and a head dimension of 4, with seeded numbers.
    ///
    /// - Parameters:
    ///   - parts: other parts of a layer than those that all architectures have, and their extents.
    public init(architecture: String, parts: [(name: String, shape: [UInt64])] = [], hidden: UInt64 = 8) {
        func key(_ name: String) -> String { architecture + "." + name }
        metadata = [
            ("general.architecture", .text(architecture)), (key("context_length"), .uint32(256)),
            (key("embedding_length"), .uint32(UInt32(hidden))), (key("block_count"), .uint32(2)), (key("feed_forward_length"), .uint32(12)),
            (key("attention.head_count"), .uint32(2)), (key("attention.head_count_kv"), .uint32(1)),
            (key("attention.key_length"), .uint32(4)),
            (key("attention.layer_norm_rms_epsilon"), .float(1e-5)), (key("rope.freq_base"), .float(500_000)),
            ("tokenizer.ggml.model", .text("gpt2")), ("tokenizer.ggml.tokens", .texts(["a", "b", "ab"])),
            ("tokenizer.ggml.bos_token_id", .uint32(0)), ("tokenizer.ggml.eos_token_id", .uint32(1)),
        ]
        let common: [(name: String, shape: [UInt64])] = [
            ("attn_norm.weight", [hidden]), ("attn_q.weight", [8, hidden]), ("attn_k.weight", [4, hidden]), ("attn_v.weight", [4, hidden]),
            ("attn_output.weight", [hidden, 8]), ("ffn_norm.weight", [hidden]), ("ffn_gate.weight", [12, hidden]),
            ("ffn_up.weight", [12, hidden]), ("ffn_down.weight", [hidden, 12]),
        ]
        var shapes: [(String, [UInt64])] = [("token_embd.weight", [3, hidden]), ("output_norm.weight", [hidden])]
        for layer in 0..<2 { shapes += (common + parts).map { ("blk.\(layer).\($0.name)", $0.shape) } }
        tensors = shapes.enumerated().map { Tensor($1.0, shape: $1.1, seed: UInt64($0)) }
    }

    /// The same model said to be of another architecture, whose name also begins the keys.
    public func named(_ architecture: String, before: String) -> GGUFWriter {
        var writer = self
        writer.metadata = metadata.map { key, value in
            (key.hasPrefix(before + ".") ? architecture + key.dropFirst(before.count) : key, value)
        }
        writer["general.architecture"] = .text(architecture)
        return writer
    }

    public func tensor(_ name: String) -> Tensor { tensors.first { $0.name == name }! }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
