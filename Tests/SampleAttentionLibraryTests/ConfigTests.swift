import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CSampleAttention
import Foundation
import RunProvenance
import SampleAttention
import Testing

@Suite struct ConfigTests {
    static let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 300, keyCount: 300, headDimension: 16)

    private static var narrow: SampleAttentionParameters {
        var parameters = SampleAttentionParameters.window(tokens: 20, sinks: 2)
        parameters.denseLastRows = 0
        return parameters
    }

    /// Dense below 200 tokens; head 1 of layer 1 has a window, all others are dense.
    private static func tuned() -> TunedConfig {
        let head = TunedConfig.Head(parameters: .dense, measured: .dense())
        var layers = [[TunedConfig.Head]](repeating: Array(repeating: head, count: 4), count: 2)
        layers[1][1].parameters = narrow
        return TunedConfig(
            model: ModelIdentity(
                family: "llama", layers: 2, queryHeads: 4, keyValueHeads: 2, headDimension: 16,
                weightsSHA256: String(repeating: "ab", count: 32), tokenizerSHA256: "none"),
            provenance: Provenance(
                tool: .init(version: "0", commit: "0"), machine: .init(cpu: "?", instructionSet: "scalar", threads: 1, precision: .fp32),
                seed: 1, texts: [], lengths: [256], date: "2026-01-01T00:00:00Z"),
            denseBelow: 200, defaults: .dense, buckets: [.init(length: 256, layers: layers)])
    }

    private func load() throws -> Config {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Self.tuned().encoded().write(to: URL(fileURLWithPath: path))
        return Config { sample_attention_config_load(path, $0, $1, $2) }
    }

    private func text(_ bytes: some Any) -> String { withUnsafeBytes(of: bytes) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } }

    @Test func aFileSaysWhatItIsFor() throws {
        var info = sample_attention_config_info()
        info.size = MemoryLayout<sample_attention_config_info>.stride
        let config = try load()
        #expect(Answer { sample_attention_config_describe(config.handle, &info, $0, $1) }.isFine)
        #expect((info.layers, info.query_heads, info.key_value_heads, info.head_dimension) == (2, 4, 2, 16))
        #expect((info.dense_below, info.lengths) == (200, 1))
        #expect(text(info.family) == "llama" && text(info.weights_sha256) == String(repeating: "ab", count: 32))
        let fixed = Config.alpha(0.5)
        #expect(Answer { sample_attention_config_describe(fixed.handle, &info, $0, $1) }.isFine)
        #expect(info.layers == 0 && text(info.family) == "")
    }

    /// Each head of each layer keeps what the file says, and everything below the least length.
    @Test func layersAndLengthsHaveTheirOwn() throws {
        let engine = Engine()
        let config = try load()
        let causal = Self.shape.causalPairs
        func kept(layer: Int, _ shape: AttentionShape = Self.shape) -> Int {
            var call = LibraryCall([NaiveAttention(shape: shape, seed: 2)])
            let answer = call.run(engine, config) { $0.layer = Int64(layer) }
            #expect(answer.isFine, "\(answer)")
            return Int(call.report.kept_pairs)
        }
        let window = WindowColumns(window: 20, columns: [0, 1])
        #expect(kept(layer: 0) == 4 * causal)
        #expect(kept(layer: 1) == 3 * causal + SparsePattern.windowColumns(window).keptPairs(Self.shape))
        let short = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 150, keyCount: 150, headDimension: 16)
        #expect(kept(layer: 1, short) == 4 * short.causalPairs)
    }

    @Test func callsOfOtherModelsAreRefused() throws {
        let config = try load()
        let engine = Engine()
        func answer(_ shape: AttentionShape, layer: Int64 = 0) -> Answer {
            var call = LibraryCall([NaiveAttention(shape: shape, seed: 2)])
            return call.run(engine, config) { $0.layer = layer }
        }
        func shape(_ queryHeads: Int, _ keyValueHeads: Int, _ dimension: Int) -> AttentionShape {
            AttentionShape(
                queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: 9, keyCount: 9, headDimension: dimension)
        }
        for (found, message) in [
            (answer(Self.shape, layer: 2), "call.layer: 2: the config is for 2 layers"),
            (answer(shape(8, 2, 16)), "call.query_heads: 8: the config is for 4"),
            (answer(shape(4, 4, 16)), "call.key_value_heads: 4: the config is for 2"),
            (answer(shape(4, 2, 8)), "call.head_dimension: 8: the config is for 16"),
        ] { #expect(found.status == SAMPLE_ATTENTION_CONFIGURATION && found.message == message, "\(found)") }
    }

    /// JSON of one head, as a file holds it.
    @Test func parametersAreOneHeads() throws {
        let json = String(decoding: try JSONEncoder().encode(Self.narrow), as: UTF8.self)
        let config = Config { sample_attention_config_parameters(json, $0, $1, $2) }
        let oracle = NaiveAttention(shape: Self.shape, seed: 2)
        var call = LibraryCall([oracle])
        #expect(call.run(Engine(), config).isFine)
        #expect(call.report.kept_pairs == Int64(try oracle.attended(Self.narrow).report.keptPairs.reduce(0, +)))
    }

    @Test(arguments: [
        ("{", "parameters: "), ("[]", "parameters: "), ("{}", "pattern: "),
        (#"{"pattern":"dense","alpha":2,"windowTokens":1,"sinks":0,"denseLastRows":0}"#, "alpha: 2"),
        (#"{"pattern":"window","alpha":1,"windowTokens":1,"sinks":0,"denseLastRows":0,"sink":3}"#, "sink: is not a field"),
    ]) func badParametersAreNamed(json: String, begins: String) {
        var config: OpaquePointer?
        let answer = Answer { sample_attention_config_parameters(json, &config, $0, $1) }
        #expect(config == nil && answer.status == SAMPLE_ATTENTION_CONFIGURATION && answer.message.hasPrefix(begins), "\(answer)")
    }

    @Test func badConfigsAreNamed() throws {
        var config: OpaquePointer?
        let missing = Answer { sample_attention_config_load("/no/such/file", &config, $0, $1) }
        #expect(missing.status == SAMPLE_ATTENTION_MISSING_INPUT && missing.message.hasPrefix("/no/such/file: "))
        let alpha = Answer { sample_attention_config_alpha(.nan, &config, $0, $1) }
        #expect(alpha.status == SAMPLE_ATTENTION_USAGE && alpha.message == "alpha: nan: must be in (0, 1]" && config == nil)
    }

    @Test func theLibraryHasAVersion() {
        #expect(String(cString: sample_attention_version()).split(separator: ".").count == 3)
        #expect(sample_attention_abi_version() == SAMPLE_ATTENTION_ABI_VERSION)
    }
}
