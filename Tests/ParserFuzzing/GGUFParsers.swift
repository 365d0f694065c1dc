import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats

extension FuzzedParser {
    /// GGUF files: as they are, as models, and as parts of a split model.
    static let ggufParsers: [FuzzedParser] = [
        FuzzedParser(name: "gguf-file") { _ in
            Prepared(samples: ([values()] + ggufModels()).map { Sample(bytes: $0.encoded()) }) { path in
                let file = try GGUFFile(path)
                for tensor in file.tensors {
                    let destination = try AlignedBuffer<Float>(
                        extents: tensor.rowCount, tensor.rowLength, of: tensor.name, reserving: true)
                    try file.read(tensor.name, rows: 0..<tensor.rowCount, into: destination.base)
                }
            }
        },
        FuzzedParser(name: "gguf-model") { _ in
            Prepared(samples: ggufModels().map { Sample(bytes: $0.encoded()) }) { try readModel($0) }
        },
        FuzzedParser(name: "gguf-part") { model in
            let parts = parts()
            let paths = (1...2).map { model.path + "/tiny-0000\($0)-of-00002.gguf" }
            try Data(parts[0].encoded()).write(to: URL(fileURLWithPath: paths[0]))
            return Prepared(samples: [Sample(bytes: parts[1].encoded())]) { path in
                try model.install(path, as: "tiny-00002-of-00002.gguf")
                try readModel(paths[0])
            }
        },
    ]

    private static func readModel(_ path: String) throws {
        let model = try GGUFModel(path)
        for name in model.weights.names {
            let shape = try model.weights.shape(of: name)
            let destination = try AlignedBuffer<Float>(
                extents: shape.dropLast().reduce(1, *), shape.last ?? 1, of: name, reserving: true)
            try model.weights.read(name, shape: shape, into: destination.base)
        }
        _ = model.tokenizerSHA256()
        _ = try model.tokenizerFields()
        _ = try model.weights.sha256(of: model.weights.names.map { (canonical: $0, own: $0) })
    }

    /// A value of every kind, and a tensor of every type that is read.
    private static func values() -> GGUFWriter {
        var writer = GGUFWriter()
        writer["a"] = .list([.list([.int32(1), .int32(2)], type: 5), .list([], type: 5)], type: 9)
        writer["b"] = .list([.bool(true), .bool(false)], type: 7)
        for type in 0...12 as ClosedRange<UInt32> where type != 8 && type != 9 {
            writer["t\(type)"] = .init(
                type: type, bytes: [UInt8](repeating: type == 7 ? 1 : 65, count: [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][Int(type)]))
        }
        writer["text"] = .text("naïve")
        writer["general.alignment"] = .uint32(32)
        let blocks: [(type: UInt32, bytes: Int)] = [
            (0, 1024), (1, 512), (30, 512), (2, 144), (3, 160), (6, 176), (7, 192), (8, 272), (12, 144), (13, 176), (14, 210),
        ]
        writer.tensors = blocks.map { type, bytes in
            .init("w\(type)", shape: [1, 256], type: type, data: (0..<bytes).map { UInt8($0 % 59) })
        }
        return writer
    }

    private static func ggufModels() -> [GGUFWriter] {
        var models = ["llama", "qwen2"].map { GGUFWriter(architecture: $0) }
        let norms: [(name: String, shape: [UInt64])] = [
            ("post_attention_norm.weight", [8]), ("post_ffw_norm.weight", [8]), ("attn_q_norm.weight", [4]), ("attn_k_norm.weight", [4]),
        ]
        models.append(GGUFWriter(architecture: "gemma3", parts: norms))
        models[0].tensors += [
            .init("rope_freqs.weight", shape: [2], [1, 8]), .init("blk.0.attn_q.bias", shape: [8], seed: 1),
            .init("output.weight", shape: [3, 8], seed: 2),
        ]
        models[1]["qwen2.rope.scaling.type"] = .text("yarn")
        models[1]["qwen2.rope.scaling.factor"] = .float(4)
        models[1]["tokenizer.ggml.merges"] = .texts(["a b"])
        models[1]["tokenizer.ggml.token_type"] = .list([.int32(1), .int32(1), .int32(1)], type: 5)
        models[1]["tokenizer.ggml.scores"] = .list([.float(0), .float(-1), .float(-2)], type: 6)
        models[2]["gemma3.attention.sliding_window"] = .uint32(32)
        return models
    }

    private static func parts() -> [GGUFWriter] {
        let whole = GGUFWriter(architecture: "llama")
        return (0..<2).map { part in
            var writer = GGUFWriter()
            if part == 0 { writer.metadata = whole.metadata }
            writer["split.no"] = .uint16(UInt16(part))
            writer["split.count"] = .uint16(2)
            writer["split.tensors.count"] = .int32(Int32(whole.tensors.count))
            writer.tensors = whole.tensors.enumerated().filter { $0.offset % 2 == part }.map(\.element)
            return writer
        }
    }
}
