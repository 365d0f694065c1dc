import AttentionCore
import AttentionKernels
import AttentionLayers
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention

extension FuzzedParser {
    /// JSON, the configuration and the weights.
    static let modelParsers: [FuzzedParser] = [
        FuzzedParser(name: "json") { _ in
            let samples = [#"{"model_type":"llama"}"#, #"{"a":[1,-2.5e-3,"\u00e9\n\"",true,null,{"b":{}},[[]]],"model_type":"x"}"#]
            return Prepared(samples: try samples.map(Sample.init(json:))) { _ = try JSONFields(contentsOf: $0).string("model_type") }
        },
        FuzzedParser(name: "model-configuration") { model in
            Prepared(samples: try configurations(model)) {
                _ = try model.install($0, as: "config.json"); _ = try DecoderDescription(modelAt: model.path)
            }
        },
        FuzzedParser(name: "model") { model in
            Prepared(samples: try configurations(model)) { path in
                try model.install(path, as: "config.json")
                let loaded = try model.load()
                let cache = try loaded.makeCache(capacity: 4)
                _ = try loaded.prefill([256, 97, 98], cache: cache, policy: .dense)
            }
        },
        FuzzedParser(name: "safetensors") { model in
            Prepared(samples: [try Sample(safetensors: weights()), try Sample(safetensors: model.read("model.safetensors"))]) { path in
                try readTensors(SafetensorsFile(path))
            }
        },
        FuzzedParser(name: "captured-layers") { _ in
            let kernel = try AttentionKernel(pool: WorkerPool(threads: 1))
            return Prepared(samples: [try Sample(safetensors: captured())]) { path in
                try CapturedLayers(path, kernel: kernel).forEachLayer { _ in }
            }
        },
        FuzzedParser(name: "safetensors-index") { model in
            let header = try Sample(safetensors: model.read("model.safetensors")).documents[0]
            let tensors = try members(Data(header.text.utf8))
            let map = tensors.map { ($0.name, JSONTree.string("shard.safetensors")) }
            let index = JSONTree.object([("metadata", .object([("total_size", .raw("1"))])), ("weight_map", .object(map))])
            // A whole file would count before the index.
            try FileManager.default.moveItem(atPath: model.path + "/model.safetensors", toPath: model.path + "/shard.safetensors")
            return Prepared(samples: [Sample([index])]) { path in
                try model.install(path, as: "model.safetensors.index.json")
                let archive = try SafetensorsArchive(directory: model.path)
                for (name, _) in tensors where archive.contains(name) { _ = try archive.tensor(name) }
            }
        },
    ]

    /// The tiny model's and those of other families, with every field that is known.
    private static func configurations(_ model: FuzzingModel) throws -> [Sample] {
        let tiny = try members(model.read("config.json"))
        let others = [
            #"{"rope_theta":500000.0,"rms_norm_eps":1e-5,"hidden_act":"silu","attention_bias":false,"mlp_bias":false,"eos_token_id":[1,2]}"#,
            """
            {"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
            "original_max_position_embeddings":8192}}
            """,
            #"{"rope_parameters":{"rope_type":"linear","factor":2.0,"rope_theta":10000.0},"sliding_window":4096,"use_sliding_window":false}"#,
        ]
        return try [Sample([.object(tiny)])] + others.map { Sample([.object(tiny + (try members(Data($0.utf8))))]) }
    }

    private static func members(_ json: Data) throws -> [(name: String, value: JSONTree)] {
        guard case .object(let members) = try JSONTree(parsing: json) else { throw FuzzFailure(description: "no object") }
        return members
    }

    /// A tensor of every kind that is read, and one without elements.
    private static func weights() -> Data {
        let header = """
            {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
            "b":{"dtype":"F16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"BF16","shape":[2,0],"data_offsets":[32,32]},\
            "d":{"dtype":"I32","shape":[2],"data_offsets":[32,40]},"e":{"dtype":"BF16","shape":[],"data_offsets":[40,42]}}
            """
        return withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(0..<42)
    }

    /// Two layers of five tokens, and the model that they are of.
    private static func captured() -> Data {
        var encoder = SafetensorsEncoder()
        for layer in 0..<2 {
            for (name, heads) in [("query", 2), ("key", 1), ("value", 1)] {
                encoder.append("layers.\(layer).\(name)", shape: [5, heads, 4], (0..<20 * heads).map { Float($0 % 7) })
            }
        }
        let model = """
            {"family":"a","layers":2,"queryHeads":2,"keyValueHeads":1,"headDimension":4,"weightsSHA256":"b","tokenizerSHA256":"c"}
            """
        return encoder.encoded(metadata: ["model": model, "text": "t", "textSHA256": "ab"])
    }

    private static func readTensors(_ file: SafetensorsFile) throws {
        for tensor in file.tensors {
            if tensor.dataType == .int32 {
                _ = try file.integers(tensor.name, shape: tensor.shape)
            } else {
                // A tensor of an unknown type may have any shape.
                let destination = try AlignedBuffer<Float>(extents: tensor.elementCount, of: tensor.name, reserving: true)
                try file.read(tensor.name, shape: tensor.shape, into: destination.base)
            }
        }
    }
}
