import AttentionCore
import Foundation
import HaystackModel
import ModelFormats
import Testing

@Suite struct SafetensorsArchiveTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func tensor(_ name: String, _ value: Float) -> [UInt8] {
        safetensors(
            #"{"\#(name)":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: littleEndian(value.bitPattern))
    }

    private func writeShards(index: String) throws {
        try directory.write(tensor("a", 1), to: "one.safetensors")
        try directory.write(tensor("b", 2), to: "two.safetensors")
        try directory.write(index, to: "model.safetensors.index.json")
    }

    private func value(_ name: String, in archive: SafetensorsArchive) throws -> Float {
        var value: Float = 0
        try archive.read(name, shape: [1], into: &value)
        return value
    }

    @Test func readsOneFile() throws {
        let path = try directory.write(tensor("a", 3), to: "model.safetensors")
        let archive = try SafetensorsArchive(directory: directory.path)
        #expect(try value("a", in: archive) == 3)
        #expect(archive.contains("a") && !archive.contains("b"))
        expectError(.invalidData, field: "b", rule: "tensor is missing", file: path) { _ = try archive.tensor("b") }
        expectError(.invalidData, field: "a", value: "[1]", rule: "must be [4, 2]") {
            var values = [Float](repeating: 0, count: 8)
            try archive.read("a", shape: [4, 2], into: &values)
        }
    }

    @Test func readsShards() throws {
        try writeShards(index: #"{"weight_map":{"b":"two.safetensors","a":"one.safetensors"}}"#)
        let archive = try SafetensorsArchive(directory: directory.path)
        #expect(try value("a", in: archive) == 1)
        #expect(try value("b", in: archive) == 2)
        #expect(archive.files.map(\.path) == ["one", "two"].map { directory.path + "/\($0).safetensors" })
        expectError(.invalidData, field: "c", rule: "tensor is missing", file: archive.listing) {
            _ = try archive.tensor("c")
        }
    }

    @Test(arguments: [
        ("{}", "weight_map", "is missing"), (#"{"weight_map":[]}"#, "weight_map", "must be an object"),
        (#"{"weight_map":{"a":1}}"#, "a", "plain name"), (#"{"weight_map":{"a":"../one.safetensors"}}"#, "a", "plain name"),
        (#"{"weight_map":{"a":"/one.safetensors"}}"#, "a", "plain name"), (#"{"weight_map":{"a":""}}"#, "a", "plain name"),
        (#"{"weight_map":{"a":"x\\one"}}"#, "a", "plain name"), (#"{"weight_map":{"a":".."}}"#, "a", "plain name"),
        (#"{"weight_map":{"a":"two.safetensors"}}"#, "a", "tensor is missing"),
        (#"{"weight_map":{"a":"one.safetensors""#, "JSON", "expected a comma"),
    ])
    func refusesIndex(json: String, field: String, rule: String) throws {
        try writeShards(index: json)
        expectError(.invalidData, field: field, rule: rule) { _ = try SafetensorsArchive(directory: directory.path) }
    }

    @Test func refusesMissingFiles() throws {
        let single = directory.path + "/model.safetensors"
        expectError(.missingInput, file: single) { _ = try SafetensorsArchive(directory: directory.path) }
        try writeShards(index: #"{"weight_map":{"a":"three.safetensors"}}"#)
        expectError(.missingInput, file: directory.path + "/three.safetensors") {
            _ = try SafetensorsArchive(directory: directory.path)
        }
    }

    /// Saved anew in other shards, in one file, or with other tensors beside them, the same tensors have the same digest.
    @Test func theDigestIsThatOfTheTensors() throws {
        let one = #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
        let two = #"{"b":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]}}"#
        try directory.write(safetensors(two, data: [2]), to: "2.safetensors")
        try directory.write(safetensors(one, data: [1]), to: "1.safetensors")
        try directory.write(
            #"{"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}"#, to: "model.safetensors.index.json")
        func digest(_ names: [(canonical: String, own: String)] = [("b", "b"), ("a", "a")]) throws -> String {
            try SafetensorsArchive(directory: directory.path).sha256(of: names)
        }
        // printf 'a U8 1\n\001b U8 1x1\n\002' | sha256sum
        let expected = "1144ef62c95d8c55b3fb15eb5866fdfa8a65591bd9fa722c30751c95f7f4f3e8"
        #expect(try digest() == expected)
        let both =
            #"{"c":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},"#
            + #""a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#
        try directory.write(safetensors(both, data: [2, 1]), to: "model.safetensors")
        #expect(try digest([("a", "a"), ("b", "x")]) == expected, "names may differ from those they are digested by")
        #expect(try digest([("a", "a"), ("x", "x")]) != expected)
        expectError(.invalidData, field: "b") { _ = try digest() }
    }

    /// What an earlier way of saving left beside the whole file is passed over.
    @Test func theWholeFileCountsBeforeAnIndex() throws {
        try writeShards(index: #"{"weight_map":{"a":"three.safetensors"}}"#)
        try directory.write(tensor("a", 5), to: "model.safetensors")
        #expect(try value("a", in: SafetensorsArchive(directory: directory.path)) == 5)
    }

    @Test(arguments: ["pytorch_model.bin", "model-q4.gguf", "adapter_model.safetensors"]) func otherFormatsAreNamed(_ name: String) throws {
        let path = try directory.write([1, 2, 3] as [UInt8], to: name)
        expectError(.unsupported, file: path) { _ = try SafetensorsArchive(directory: directory.path) }
    }

    @Test func filesThatWereNotFetchedAreNamed() throws {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
        let path = try directory.write(pointer, to: "model.safetensors")
        expectError(.invalidData, value: "a git-lfs pointer", rule: "git lfs pull", file: path) {
            _ = try SafetensorsArchive(directory: directory.path)
        }
        let json = try directory.write(pointer, to: "tokenizer.json")
        expectError(.invalidData, value: "a git-lfs pointer", rule: "git lfs pull", file: json) { _ = try Tokenizer(path: json) }
    }

    @Test func readsTheBundledModel() throws {
        let model = try ModelFiles(HaystackModel.modelDirectory.path)
        #expect(try model.config.string("model_type") == "llama")
        let weights = try SafetensorsArchive(directory: model.path)
        #expect(try weights.files.count == 2 && Set(weights.names) == Set(model.weights().names))
        let bytes = weights.files.flatMap(\.tensors).map(\.bytes.count).reduce(0, +)
        #expect(bytes == 25_965_312)  // The index's total_size.
        let tokenizer = try model.tokenizer(vocabularySize: 4096)
        #expect(tokenizer.vocabularySize == 4096 && tokenizer.affixes.before == [0])
        #expect(
            try model.tokenizerSHA256() == "f10daf9634b7f4893e4013ddbe61df8a21c14bcc3abb6702230442f39d8ae6cd")  // sha256sum
    }
}
