import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

/// Rotary scaling in the words of a `config.json`.
@Suite struct GGUFRotaryTests {
    private let directory: TemporaryDirectory
    private let llama = GGUFWriter(architecture: "llama")

    init() throws { directory = try TemporaryDirectory() }

    private func model(_ writer: GGUFWriter) throws -> GGUFModel { try GGUFModel(directory.write(writer.encoded(), to: "a.gguf")) }

    private func scaling(_ change: (inout GGUFWriter) -> Void) throws -> [String: String]? {
        var writer = llama
        change(&writer)
        let members = try model(writer).configuration.fields("rope_scaling")?.object.members
        return members.map { Dictionary(uniqueKeysWithValues: $0.map { ($0.name, $0.value.summary) }) }
    }

    @Test func rotaryScalingsHaveTheHubsNames() throws {
        #expect(try scaling { $0["llama.rope.scaling.type"] = .text("none") } == nil)
        let linear = ["rope_type": "\"linear\"", "factor": "8.0"]
        #expect(
            try scaling {
                $0["llama.rope.scaling.type"] = .text("linear")
                $0["llama.rope.scaling.factor"] = .float(8)
            } == linear)
        #expect(try scaling { $0["llama.rope.scale_linear"] = .float(8) } == linear, "as old files have it")
        #expect(
            try scaling {
                $0["llama.rope.scaling.type"] = .text("yarn")
                $0["llama.rope.scaling.factor"] = .float(4)
                $0["llama.rope.scaling.original_context_length"] = .uint32(64)
                $0["llama.rope.scaling.yarn_beta_fast"] = .float(16)
                $0["llama.rope.scaling.attn_factor"] = .float(2)
            } == [
                "rope_type": "\"yarn\"", "factor": "4.0", "original_max_position_embeddings": "64", "beta_fast": "16.0",
                "attention_factor": "\(2 * (1 + 0.1 * log(4.0)))",
            ])
        expectError(.unsupported, field: "llama.rope.scaling.yarn_log_multiplier") {
            _ = try scaling {
                $0["llama.rope.scaling.type"] = .text("yarn")
                $0["llama.rope.scaling.factor"] = .float(4)
                $0["llama.rope.scaling.yarn_log_multiplier"] = .float(0.1)
            }
        }
    }

    private func longrope(short: String, long: String, original: Int, attention: Double) -> [String: String] {
        [
            "rope_type": "\"longrope\"", "short_factor": short, "long_factor": long, "factor": "1.0", "attention_factor": "\(attention)",
            "original_max_position_embeddings": "\(original)",
        ]
    }

    @Test func tablesOfRotaryFactorsAreTakenIn() throws {
        let table = GGUFWriter.Tensor("rope_freqs.weight", shape: [2], [1, 8])
        let same = longrope(short: "[1.0, 8.0]", long: "[1.0, 8.0]", original: 256, attention: 1)
        #expect(try scaling { $0.tensors.append(table) } == same)
        let doubled = longrope(short: "[2.0, 16.0]", long: "[2.0, 16.0]", original: 256, attention: 1)
        #expect(
            try scaling {
                $0.tensors.append(table)
                $0["llama.rope.scaling.type"] = .text("linear")
                $0["llama.rope.scaling.factor"] = .float(2)
            } == doubled)
        #expect(
            try scaling {
                $0.tensors += [
                    .init("rope_factors_short.weight", shape: [2], [1, 1.5]), .init("rope_factors_long.weight", shape: [2], [2, 3]),
                ]
                $0["llama.rope.scaling.type"] = .text("longrope")
                $0["llama.rope.scaling.attn_factor"] = .float(1.25)
                $0["llama.rope.scaling.original_context_length"] = .uint32(64)
            } == longrope(short: "[1.0, 1.5]", long: "[2.0, 3.0]", original: 64, attention: 1.25))
        for (shape, values) in [([3], [1, 2, 3]), ([2], [1, 0]), ([2], [1, -1])] as [([UInt64], [Float])] {
            expectError(.invalidData, field: "rope_freqs.weight", rule: "must be 2 numbers above 0") {
                _ = try scaling { $0.tensors.append(.init("rope_freqs.weight", shape: shape, values)) }
            }
        }
        expectError(.unsupported, field: "llama.rope.scaling.type", rule: "not supported beside rope_freqs.weight") {
            _ = try scaling {
                $0.tensors.append(table)
                $0["llama.rope.scaling.type"] = .text("yarn")
            }
        }
        let golden = try GGUFModel(goldenFolder().appending(path: "tiny-f16.gguf").path).configuration.fields("rope_scaling")
        let factors = try #require(try golden?.array("long_factor").map(\.number))
        #expect(factors.count == 8 && factors.first == 1 && factors.last == 8)
    }
}
