import AttentionCore
import AttentionKernels
import Foundation
import RunProvenance
import SampleAttention
import Testing

@Suite struct TunedConfigTests {
    static func config() throws -> TunedConfig {
        var narrow = SampleAttentionParameters(alpha: try Fraction(0.9), window: .tokens(128), sampleRatio: try Fraction(0.02))
        narrow.sinks = 4
        var slashes = SampleAttentionParameters.standard
        slashes.pattern = .columnSlash
        slashes.alphaSlashes = try Fraction(0.85)
        slashes.sampling = .random
        slashes.samplingSeed = .max
        var tails = SampleAttentionParameters.paper
        tails.sampling = .tailBlocks
        tails.columnCount = 7
        var blocks = SampleAttentionParameters.keyBlocks(count: 5, window: 200, sinks: 9)
        blocks.keyBlockTokens = 16
        blocks.scoredDimensions = try Fraction(0.25)
        let measured = TunedConfig.Measurement(meanMass: 0.96, p1Mass: 0.7, minMass: 0.2, density: 0.11)
        func bucket(_ length: Int, _ heads: SampleAttentionParameters...) -> TunedConfig.Bucket {
            .init(length: length, layers: [heads.map { .init(parameters: $0, measured: measured) }])
        }
        return TunedConfig(
            model: .init(
                family: "llama", layers: 1, queryHeads: 3, keyValueHeads: 1, headDimension: 8, weightsSHA256: "aa", tokenizerSHA256: "bb"),
            provenance: .init(
                tool: .init(version: "1", commit: "c"), machine: .init(cpu: "x", instructionSet: "scalar", threads: 2, precision: .bf16),
                seed: 1,
                texts: [.init(name: "t", sha256: "d")], lengths: [4096, 16384], date: "2026-01-01T00:00:00Z"),
            denseBelow: 1000, defaults: .standard, buckets: [bucket(4096, narrow), bucket(16384, tails, slashes, blocks)])
    }

    func withFile<Result>(_ data: Data, _ body: (String) throws -> Result) throws -> Result {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try data.write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        return try body(url.path)
    }

    @Test func roundTripsByteForByte() throws {
        let config = try Self.config()
        try withFile(config.encoded()) { path in
            let read = try TunedConfig(contentsOf: path)
            #expect(read == config)
            #expect(read.encoded() == config.encoded())
        }
    }

    /// Files that were written before these fields existed.
    @Test func fieldsThatCameLaterMayBeAbsent() throws {
        let old = """
            {"alpha": 0.95, "columnScoring": "window-aware", "denseLastRows": 64, "pattern": "stripe-window", "sampleRatio": 0.05,
             "sinks": 0, "windowRatio": 0.08}
            """
        let read = try JSONDecoder().decode(SampleAttentionParameters.self, from: Data(old.utf8))
        #expect(read == .standard)
        #expect(read.sampling == .stride && read.samplingSeed == 1 && read.alphaSlashes == nil && read.columnCount == nil)
        let random = old.replacingOccurrences(of: "\"sinks\"", with: "\"sampling\": \"random\", \"sinks\"")
        #expect(try JSONDecoder().decode(SampleAttentionParameters.self, from: Data(random.utf8)).samplingSeed == 1)
        let blocks =
            #"{"pattern": "key-blocks", "keyBlockCount": 8, "keyBlockTokens": 32, "windowTokens": 9, "sinks": 0, "denseLastRows": 64}"#
        let readBlocks = try JSONDecoder().decode(SampleAttentionParameters.self, from: Data(blocks.utf8))
        #expect(readBlocks == .keyBlocks(count: 8, window: 9, sinks: 0) && readBlocks.scoredDimensions == .one)
    }

    /// Files from before scores of some coordinates do not say it.
    @Test func allCoordinatesNeedNotBeSaid() throws {
        let text = String(decoding: try Self.config().encoded(), as: UTF8.self)
        let old = text.split(separator: "\n").filter { !$0.contains("scoredDimensions") }.joined(separator: "\n")
            .replacingOccurrences(of: ",\n              }", with: "\n              }")
        let config = try withFile(Data(old.utf8)) { try TunedConfig(contentsOf: $0) }
        #expect(config.buckets[1].layers[0][2].parameters.scoredDimensions == .one && old != text)
        #expect(String(decoding: config.encoded(), as: UTF8.self).contains("\"scoredDimensions\" : 1"))
    }

    /// A seed is written only where it is used, and a share of slashes only where there are slashes.
    @Test func fieldsWithoutMeaningAreNotWritten() throws {
        var parameters = SampleAttentionParameters.standard
        func fields() throws -> Set<String> {
            let object = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(parameters))
            return Set(try #require(object as? [String: Any]).keys)
        }
        parameters.samplingSeed = 7
        parameters.alphaSlashes = try Fraction(0.5)
        parameters.columnCount = 3
        #expect(try fields().isDisjoint(with: ["samplingSeed", "alphaSlashes"]))
        #expect(try fields().contains("columnCount"))
        parameters.sampling = .random
        parameters.pattern = .columnSlash
        #expect(try fields().isSuperset(of: ["sampling", "samplingSeed", "alphaSlashes"]))
        #expect(try !fields().contains("columnCount"))
        parameters.alphaSlashes = nil
        #expect(try !fields().contains("alphaSlashes"))
        parameters.keyBlockCount = 3
        parameters.scoredDimensions = try Fraction(0.5)
        #expect(try fields().isDisjoint(with: ["keyBlockCount", "keyBlockTokens", "scoredDimensions"]))
        parameters.pattern = .keyBlocks
        #expect(
            try fields() == ["pattern", "keyBlockCount", "keyBlockTokens", "scoredDimensions", "windowRatio", "sinks", "denseLastRows"])
    }

    @Test func nearestBucketInRatioApplies() throws {
        let config = try Self.config()
        #expect(config.parameters(layer: 0, promptLength: 999) == [.dense, .dense, .dense])
        #expect(config.parameters(layer: 0, promptLength: 1000)[0].window == .tokens(128))
        #expect(config.parameters(layer: 0, promptLength: 8192)[0].window == .tokens(128))
        #expect(config.parameters(layer: 0, promptLength: 8300)[0].sampling == .tailBlocks)
        #expect(config.parameters(layer: 0, promptLength: 1 << 20)[1].pattern == .columnSlash)
        #expect(config.parameters(layer: 0, promptLength: 1 << 20)[2].keyBlockTokens == 16)
        // Head 1 has no entry.
        #expect(config.parameters(layer: 0, promptLength: 4096)[1] == .standard)
    }

    /// What a damaged file says: the field's name must be in the message.
    @Test(arguments: [
        ("\"alpha\" : 0.9", "\"alpha\" : 1.5", "alpha"), ("\"alpha\" : 0.9", "\"alpha\" : 0", "alpha"),
        ("\"alpha\" : 0.9", "\"alpha\" : NaN", ""), ("\"alpha\" : 0.9", "\"alhpa\" : 0.9", "alpha"),
        ("\"sinks\" : 4", "\"sinks\" : -1", "sinks"), ("\"sinks\" : 4", "\"sinks\" : \"4\"", "sinks"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"extra\" : 1", "extra"), ("\"schemaVersion\" : 1", "\"schemaVersion\" : 2", "schemaVersion"),
        ("\"pattern\" : \"stripe-window\"", "\"pattern\" : \"spiral\"", "pattern"), ("\"length\" : 16384", "\"length\" : 4096", "length"),
        ("\"alphaSlashes\" : 0.85", "\"alphaSlashes\" : 1.85", "alphaSlashes"),
        ("\"alphaSlashes\" : 0.85", "\"alphaSlash\" : 0.85", "alphaSlash"),
        ("\"sampling\" : \"tail-blocks\"", "\"sampling\" : \"head-blocks\"", "sampling"),
        ("\"sampling\" : \"random\"", "\"sampling\" : \"stride\"", "samplingSeed"),
        ("\"samplingSeed\" : 18446744073709551615", "\"samplingSeed\" : -1", "samplingSeed"),
        ("\"samplingSeed\" : 18446744073709551615", "\"samplingSeed\" : 1.5", "samplingSeed"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"alphaSlashes\" : 0.9", "alphaSlashes"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"samplingSeed\" : 3", "samplingSeed"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"columnCount\" : 3", "columnCount"),
        ("\"columnCount\" : 7", "\"columnCount\" : -7", "columnCount"),
        ("\"alphaSlashes\" : 0.85", "\"columnCount\" : 7", "columnCount"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 0", "keyBlockCount"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 2.5", "keyBlockCount"),
        ("\"keyBlockCount\" : 5", "\"keyBlocks\" : 5", "keyBlockCount"),
        ("\"keyBlockTokens\" : 16", "\"keyBlockTokens\" : 128", "keyBlockTokens"),
        ("\"keyBlockTokens\" : 16", "\"keyBlockToken\" : 16", "keyBlockTokens"),
        ("\"scoredDimensions\" : 0.25", "\"scoredDimensions\" : 1.25", "scoredDimensions"),
        ("\"scoredDimensions\" : 0.25", "\"scoredDimensions\" : 0", "scoredDimensions"),
        ("\"scoredDimensions\" : 0.25", "\"scoredDimensions\" : \"half\"", "scoredDimensions"),
        ("\"scoredDimensions\" : 0.25", "\"scoredDimension\" : 0.25", "scoredDimension"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"scoredDimensions\" : 0.5", "scoredDimensions"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"scoredDimensions\" : 1", "scoredDimensions"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 5, \"alpha\" : 0.95", "alpha"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 5, \"sampleRatio\" : 0.05", "sampleRatio"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 5, \"sampling\" : \"stride\"", "sampling"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 5, \"columnScoring\" : \"all-mass\"", "columnScoring"),
        ("\"keyBlockCount\" : 5", "\"keyBlockCount\" : 5, \"columnCount\" : 7", "columnCount"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"keyBlockCount\" : 3", "keyBlockCount"),
        ("\"sinks\" : 4", "\"sinks\" : 4, \"keyBlockTokens\" : 32", "keyBlockTokens"),
        ("\"layers\" : 1", "\"layers\" : 0", "model"), ("\"denseBelow\" : 1000", "\"denseBelow\" : -3", "denseBelow"),
    ]) func damagedFilesAreRefused(original: String, replacement: String, field: String) throws {
        let text = String(decoding: try Self.config().encoded(), as: UTF8.self)
        let range = try #require(text.range(of: original), "\(text)")
        let damaged = text.replacingCharacters(in: range, with: replacement)
        try withFile(Data(damaged.utf8)) { path in
            let error = try #require(throws: InputError.self) { try TunedConfig(contentsOf: path) }
            #expect(error.code == .configuration)
            #expect(error.file == path)
            #expect(field.isEmpty || (error.field ?? "").contains(field), "\(error)")
        }
    }

    @Test func anotherModelIsRefusedByBothNames() throws {
        let config = try Self.config()
        var other = config.model
        other.weightsSHA256 = "ffffff"
        let error = try #require(throws: InputError.self) { try config.check(against: other, path: "c.json") }
        #expect(error.description.contains("aa") && error.description.contains("weightsSHA256 must be ffffff"))
        other.tokenizerSHA256 = "cc"
        let otherTokenizer = try #require(throws: InputError.self) { try config.check(against: other, path: "c.json") }
        #expect(!otherTokenizer.description.contains("must be ffffff"))
        #expect(throws: Never.self) { try config.check(against: config.model, path: "c.json") }
    }

    private func schema() throws -> [String: Any] {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = source.appendingPathComponent("Sources/SampleAttention/tuned-config.schema.json")
        return try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    }

    @Test func schemaNamesEveryChoice() throws {
        let definitions = try #require(try schema()["$defs"] as? [String: [String: Any]])
        let properties = try #require(definitions["parameters"]?["properties"] as? [String: [String: Any]])
        typealias Parameters = SampleAttentionParameters
        #expect(properties["keyBlockTokens"]?["enum"] as? [Int] == Parameters.keyBlockLengths)
        #expect(properties["pattern"]?["enum"] as? [String] == Parameters.Pattern.allCases.map(\.rawValue))
        #expect(properties["sampling"]?["enum"] as? [String] == Parameters.Sampling.allCases.map(\.rawValue))
        #expect(properties["columnScoring"]?["enum"] as? [String] == Parameters.ColumnScoring.allCases.map(\.rawValue))
    }

    /// The schema that is checked in names exactly the fields that are written.
    @Test func schemaNamesEveryField() throws {
        let schema = try schema()
        let config = try #require(try JSONSerialization.jsonObject(with: try Self.config().encoded()) as? [String: Any])
        try check(config, schema: schema, root: schema, at: "config")
    }

    private func check(_ value: Any, schema: [String: Any], root: [String: Any], at path: String) throws {
        if let reference = schema["$ref"] as? String {
            let name = try #require(reference.split(separator: "/").last.map(String.init))
            let target = try #require((root["$defs"] as? [String: Any])?[name] as? [String: Any], "\(reference)")
            return try check(value, schema: target, root: root, at: path)
        }
        if let object = value as? [String: Any] {
            let properties = try #require(schema["properties"] as? [String: Any], "\(path)")
            #expect(schema["additionalProperties"] as? Bool == false, "\(path)")
            for (key, member) in object {
                let own = try #require(properties[key] as? [String: Any], "\(path).\(key) is not in the schema")
                try check(member, schema: own, root: root, at: "\(path).\(key)")
            }
            for key in schema["required"] as? [String] ?? [] { #expect(object[key] != nil, "\(path).\(key)") }
        } else if let array = value as? [Any] {
            let items = try #require(schema["items"] as? [String: Any], "\(path)")
            for member in array { try check(member, schema: items, root: root, at: path + "[]") }
        }
    }
}
