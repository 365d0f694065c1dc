import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

@Suite struct GGUFArchiveTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func archive(_ writer: GGUFWriter, _ name: String = "a.gguf") throws -> GGUFArchive {
        try GGUFArchive(directory.write(writer.encoded(), to: name))
    }

    @Test func hasTheHubsNamesAndExtents() throws {
        let archive = try archive(GGUFWriter(architecture: "llama"))
        let parts = [
            "input_layernorm": [8], "self_attn.q_proj": [8, 8], "self_attn.k_proj": [4, 8], "self_attn.v_proj": [4, 8],
            "self_attn.o_proj": [8, 8], "post_attention_layernorm": [8], "mlp.gate_proj": [12, 8], "mlp.up_proj": [12, 8],
            "mlp.down_proj": [8, 12],
        ]
        var expected = ["model.embed_tokens.weight": [3, 8], "model.norm.weight": [8]]
        for layer in 0..<2 { for (part, shape) in parts { expected["model.layers.\(layer).\(part).weight"] = shape } }
        #expect(Set(archive.names) == Set(expected.keys))
        for (name, shape) in expected { #expect(try archive.shape(of: name) == shape, "\(name)") }
        #expect(archive.contains("model.norm.weight") && !archive.contains("output_norm.weight"))
        expectError(.invalidData, field: "lm_head.weight", rule: "tensor is missing", file: archive.listing) {
            _ = try archive.shape(of: "lm_head.weight")
        }
    }

    /// The converter takes each head's rows as two halves and lays them side by side; so the rows here are numbered as on the hub and
    /// reordered by a walk over the two halves, and must come back as they were.
    @Test func rowsOfQueriesAndKeysAreInTheHubsOrder() throws {
        var writer = GGUFWriter(architecture: "llama")
        writer["llama.attention.head_count"] = .uint32(3)
        writer["llama.attention.head_count_kv"] = .uint32(2)
        func asConverted(_ hub: [[Float]], heads: Int) -> [Float] {
            let dimension = hub.count / heads
            return (0..<heads).flatMap { head in
                let rows = Array(hub[head * dimension..<(head + 1) * dimension])
                return zip(rows.prefix(dimension / 2), rows.suffix(dimension / 2)).flatMap { [$0, $1] }
            }.flatMap(\.self)
        }
        let queries = (0..<18).map { row in (0..<2).map { Float(10 * row + $0) } }
        let keys = (0..<12).map { row in (0..<2).map { Float(1000 + 10 * row + $0) } }
        writer.tensors = [
            .init("blk.0.attn_q.weight", shape: [18, 2], asConverted(queries, heads: 3)),
            .init("blk.0.attn_k.weight", shape: [12, 2], asConverted(keys, heads: 2)),
            .init("blk.0.attn_q.bias", shape: [18], asConverted(queries.map { [$0[0]] }, heads: 3)),
            .init("blk.0.attn_v.weight", shape: [12, 2], keys.flatMap(\.self)),
        ]
        let archive = try archive(writer)
        let layer = "model.layers.0.self_attn."
        #expect(try numbers(layer + "q_proj.weight", in: archive) == queries.flatMap(\.self))
        #expect(try numbers(layer + "k_proj.weight", in: archive) == keys.flatMap(\.self))
        #expect(try numbers(layer + "v_proj.weight", in: archive) == keys.flatMap(\.self))
        #expect(try numbers(layer + "q_proj.bias", in: archive) == queries.map { $0[0] })
        var some = [Float](repeating: 0, count: 10)
        try archive.read(layer + "q_proj.weight", rows: 4..<9, into: &some)
        #expect(some == Array(queries.flatMap(\.self)[8..<18]))
        try archive.read(layer + "q_proj.bias", rows: 0..<0, into: &some)
        expectError(.invalidData, rule: "must have 19 rows") {
            try archive.read(layer + "q_proj.weight", rows: 14..<19, into: &some)
        }
        expectError(.invalidData, rule: "must have 2 rows") { try archive.read(layer + "q_proj.bias", rows: 1..<2, into: &some) }

        let other = try self.archive(writer.named("qwen2", before: "llama"))
        #expect(try numbers(layer + "q_proj.weight", in: other) == writer.tensors[0].floats, "not reordered there")
        writer.tensors[0] = .init("blk.0.attn_q.weight", shape: [9, 4], seed: 1)
        expectError(.invalidData, field: "blk.0.attn_q.weight", value: "[9, 4]", rule: "even number of rows for each of 3 heads") {
            _ = try self.archive(writer)
        }
    }

    /// The length of what cannot be read is not held against the file, so nothing may be allocated by it.
    @Test func hugeVectorsOfUnknownTypesAreRefused() throws {
        var writer = GGUFWriter(architecture: "llama")
        writer.tensors.append(.init("blk.0.attn_q.bias", shape: [1 << 60], type: 10, data: []))
        let archive = try archive(writer)
        var value: Float = 0
        expectError(.unsupported, field: "blk.0.attn_q.bias", value: "Q2_K") {
            try archive.read("model.layers.0.self_attn.q_proj.bias", rows: 0..<1, into: &value)
        }
    }

    /// Every type of block, through whole rows.
    @Test(arguments: GGUFGoldenTests.kinds) func goldenRowsAreInTheHubsOrder(kind: String) throws {
        let archive = try GGUFArchive(goldenFolder().appending(path: "tiny-\(kind).gguf").path)
        var stored = [Float](repeating: 0, count: 32 * 32)
        try archive.files[0].read("blk.1.attn_q.weight", rows: 0..<32, into: &stored)
        let found = try numbers("model.layers.1.self_attn.q_proj.weight", in: archive)
        #expect(found != stored)
        for head in 0..<2 {
            for pair in 0..<8 {
                for half in 0..<2 {
                    let (hub, own) = (head * 16 + half * 8 + pair, head * 16 + 2 * pair + half)
                    #expect(Array(found[32 * hub..<32 * (hub + 1)]) == Array(stored[32 * own..<32 * (own + 1)]))
                }
            }
        }
    }

    @Test(arguments: ["gemma2", "gemma3"]) func gemmaNormsAreOneLess(architecture: String) throws {
        let norms: [(name: String, shape: [UInt64])] = [
            ("post_attention_norm.weight", [8]), ("post_ffw_norm.weight", [8]), ("attn_q_norm.weight", [4]), ("attn_k_norm.weight", [4]),
        ]
        let writer = GGUFWriter(architecture: architecture, parts: architecture == "gemma3" ? norms : Array(norms.prefix(2)))
        let archive = try archive(writer)
        let layer = "model.layers.1."
        var pairs = [
            ("model.norm", "output_norm"), (layer + "input_layernorm", "blk.1.attn_norm"),
            (layer + "post_attention_layernorm", "blk.1.post_attention_norm"), (layer + "pre_feedforward_layernorm", "blk.1.ffn_norm"),
            (layer + "post_feedforward_layernorm", "blk.1.post_ffw_norm"),
        ]
        if architecture == "gemma3" {
            pairs += [(layer + "self_attn.q_norm", "blk.1.attn_q_norm"), (layer + "self_attn.k_norm", "blk.1.attn_k_norm")]
        }
        for (name, own) in pairs {
            #expect(try numbers(name + ".weight", in: archive) == writer.tensor(own + ".weight").floats.map { $0 - 1 }, "\(name)")
        }
        for (name, own) in [(layer + "self_attn.q_proj", "blk.1.attn_q"), (layer + "mlp.down_proj", "blk.1.ffn_down")] {
            #expect(try numbers(name + ".weight", in: archive) == writer.tensor(own + ".weight").floats, "\(name)")
        }
    }

    /// Tensors that the architecture does not have are left over where they stand.
    @Test func unknownTensorsKeepTheirPlaces() throws {
        var writer = GGUFWriter(architecture: "llama")
        writer.tensors += [
            .init("blk.1.ffn_gate_exps.weight", shape: [1], [1]), .init("blk.x.attn_q.weight", shape: [1], [1]),
            .init("vision.patch", shape: [1], [1]), .init("rope_freqs.weight", shape: [2], [1, 2]),
            .init("output.weight", shape: [3, 8], seed: 1),
        ]
        let names = try Set(archive(writer).names)
        #expect(names.isSuperset(of: ["model.layers.1.ffn_gate_exps.weight", "blk.x.attn_q.weight", "vision.patch", "lm_head.weight"]))
        #expect(names.count == writer.tensors.count - 1, "the configuration takes in the rotary factors")
        writer.tensors.append(.init("model.norm.weight", shape: [8], seed: 1))
        expectError(.invalidData, field: "model.norm.weight", rule: "another tensor is the model's model.norm.weight too") {
            _ = try archive(writer)
        }
    }

    @Test func comparesBytes() throws {
        var writer = GGUFWriter(architecture: "llama")
        let embedding = writer.tensor("token_embd.weight")
        writer.tensors.append(.init("output.weight", shape: [3, 8], embedding.floats))
        writer.tensors.append(.init("v", shape: [8, 8], writer.tensor("blk.0.attn_q.weight").floats))
        writer.tensors.append(.init("unknown", shape: [1], type: 10, data: []))
        let archive = try archive(writer)
        let (head, query) = ("lm_head.weight", "model.layers.0.self_attn.q_proj.weight")
        #expect(archive.haveEqualContents(head, "model.embed_tokens.weight"))
        #expect(!archive.haveEqualContents(query, "v"), "the rows are in another order")
        #expect(!archive.haveEqualContents(head, "absent") && !archive.haveEqualContents("unknown", "unknown"))
        archive.release(head)
        #expect(try numbers(head, in: archive) == embedding.floats)
    }

    @Test func theDigestIsThatOfTheStoredBytes() throws {
        var writer = GGUFWriter(architecture: "qwen2")
        writer.tensors = [
            .init("blk.0.attn_k.weight", shape: [2, 2], type: 1, data: [1, 0, 2, 0, 3, 0, 4, 0]), .init("a", shape: [1], [1]),
            .init("b", shape: [1], type: 10, data: []),
        ]
        let archive = try archive(writer)
        // printf 'a F32 1\n\x00\x00\x80\x3fk F16 2x2\n\x01\x00\x02\x00\x03\x00\x04\x00' | sha256sum
        #expect(
            try archive.sha256(of: [("k", "model.layers.0.self_attn.k_proj.weight"), ("a", "a")])
                == "c052e12193ebd0aae3396a1b0c31fbe2023b680bc79e1d82fdab7b00e3e39ef8")
        expectError(.invalidData, field: "c") { _ = try archive.sha256(of: [("c", "c")]) }
        expectError(.unsupported, field: "b", value: "Q2_K") { _ = try archive.sha256(of: [("b", "b")]) }
    }

    @Test func refusesOtherArchitectures() throws {
        expectError(.unsupported, field: "general.architecture", value: #""mamba""#, rule: "llama, qwen2, qwen3, gemma2, gemma3") {
            _ = try archive(GGUFWriter(architecture: "mamba"))
        }
        expectError(.invalidData, field: "general.architecture", rule: "is missing") { _ = try archive(GGUFWriter()) }
        var adapter = GGUFWriter(architecture: "llama")
        adapter["general.type"] = .text("adapter")
        expectError(.unsupported, field: "general.type", value: #""adapter""#, rule: "no model by itself") { _ = try archive(adapter) }
    }
}

// MARK: - Models in parts

extension GGUFArchiveTests {
    /// The parts of a small model: the first has the metadata, the tensors are spread.
    private func parts(_ change: (inout [GGUFWriter]) -> Void = { _ in }) throws -> [String] {
        let whole = GGUFWriter(architecture: "llama")
        var parts = (0..<3).map { part in
            var writer = GGUFWriter()
            if part == 0 { writer.metadata = whole.metadata }
            writer["split.no"] = .uint16(UInt16(part))
            writer["split.count"] = .uint16(3)
            writer["split.tensors.count"] = .int32(Int32(whole.tensors.count))
            writer.tensors = whole.tensors.enumerated().filter { $0.offset % 3 == part }.map(\.element)
            return writer
        }
        change(&parts)
        return try parts.enumerated().map { try directory.write($1.encoded(), to: "tiny-0000\($0 + 1)-of-00003.gguf") }
    }

    @Test func anyPartOpensAll() throws {
        let whole = try archive(GGUFWriter(architecture: "llama"))
        let paths = try parts()
        for path in paths {
            let archive = try GGUFArchive(path)
            #expect(archive.files.map(\.path) == paths && archive.listing == paths[0])
            #expect(Set(archive.names) == Set(whole.names))
            for name in whole.names { #expect(try numbers(name, in: archive) == numbers(name, in: whole)) }
            let names = whole.names.map { (canonical: $0, own: $0) }
            #expect(try archive.sha256(of: names) == whole.sha256(of: names), "the same whichever files they stand in")
        }
    }

    @Test func refusesPartsThatDoNotBelongTogether() throws {
        let first = try parts()[0]
        let third = first.replacing("00001-of", with: "00003-of")
        func expectRefusal(_ field: String?, _ rule: String, file: String, code: InputError.Code = .invalidData) {
            expectError(code, field: field, rule: rule, file: file) { _ = try GGUFArchive(first) }
        }
        _ = try parts { $0[2]["split.no"] = .uint16(1) }
        expectRefusal("split.no", "must be 2, as the file's name says", file: third)
        _ = try parts { $0[2]["split.count"] = .uint16(4) }
        expectRefusal("split.count", "must be 3, as in the other parts", file: third)
        _ = try parts { $0[2]["split.count"] = nil }
        expectRefusal("split.count", "is missing", file: third)
        _ = try parts { $0[2].tensors.append($0[0].tensors[0]) }
        expectRefusal("token_embd.weight", "stands in another part too", file: third)
        _ = try parts { $0[2].tensors.removeLast() }
        expectRefusal("split.tensors.count", "must be the number of tensors in all parts, 19", file: first)
        _ = try parts { $0[0]["split.no"] = .uint16(3) }
        expectRefusal("split.no", "must be an integer in 0...2", file: first)
        _ = try parts()
        try FileManager.default.removeItem(atPath: third)
        expectRefusal(nil, "no such file, and the model is split into 3 parts", file: third, code: .missingInput)
        let renamed = directory.path + "/renamed.gguf"
        try FileManager.default.copyItem(atPath: first, toPath: renamed)
        expectError(.invalidData, field: "split.no", rule: "must be named NAME-00001-of-0000N.gguf", file: renamed) {
            _ = try GGUFArchive(renamed)
        }
    }
}
