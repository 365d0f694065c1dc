import AttentionCore
import Foundation
import RunProvenance
import SampleAttention
import Testing

@Suite struct ConfigExchangeTests {
    static let model = ModelIdentity(
        family: "llama", layers: 2, queryHeads: 2, keyValueHeads: 1, headDimension: 8, weightsSHA256: "aa", tokenizerSHA256: "bb")

    static func provenance() throws -> Provenance { try TunedConfigTests.config().provenance }

    /// Two layers of two heads at 1,000 tokens: a fixed count, a bare window, columns by α, dense.
    static func config(_ change: (inout [[TunedConfig.Head]]) -> Void = { _ in }) throws -> TunedConfig {
        func head(
            _ score: Double, density: Double = 0.5, _ body: (inout SampleAttentionParameters) -> Void
        ) throws -> TunedConfig.Head {
            var parameters = SampleAttentionParameters(alpha: try Fraction(0.9), window: .tokens(128), sampleRatio: try Fraction(0.05))
            parameters.denseLastRows = 0
            body(&parameters)
            return .init(parameters: parameters, measured: .init(meanMass: score, p1Mass: 0.5, minMass: 0.1, density: density))
        }
        var layers = [
            [
                try head(0.25) { $0.columnCount = 40 },
                try head(0.5) {
                    $0.sinks = 4
                    $0.columnCount = 4
                },
            ],
            [try head(0.75, density: 0.4) { $0.window = .ratio(try! Fraction(0.1)) }, try head(1) { $0.pattern = .dense }],
        ]
        change(&layers)
        return TunedConfig(
            model: model, provenance: try provenance(), denseBelow: 100, defaults: .standard, buckets: [.init(length: 1000, layers: layers)]
        )
    }

    private static func export(_ config: TunedConfig, _ format: ConfigExchange.Format, length: Int = 1000) throws -> ConfigExchange.Export {
        try ConfigExchange(format: format, length: length).exported(config, file: "config.json")
    }

    private static func importing(_ text: String, _ format: ConfigExchange.Format, length: Int = 1000) throws -> ConfigExchange.Import {
        try ConfigExchange(format: format, length: length)
            .imported(Data(text.utf8), file: "foreign.json", model: model, provenance: provenance())
    }

    /// 0.4 of 500,500 pairs, less 95,050 of a window of 100, over 450.5 pairs a column.
    static let columnsByAlpha = 234

    @Test func minferenceSaysEachHeadInItsWords() throws {
        let export = try Self.export(Self.config(), .minference)
        #expect(
            export.text == """
                [{"0": ["vertical_and_slash", 40, 128, 0.25], "1": ["stream_llm", 4, 128, 0.5]},
                {"0": ["vertical_and_slash", \(Self.columnsByAlpha), 100, 0.75], "1": ["vertical_and_slash", 1000, 1000, 1.0]}]

                """)
        #expect(export.estimatedHeads == 1 && export.warning.contains("1 column counts are estimates"))
    }

    @Test func vllmHasColumnsInTheSinksPlace() throws {
        let export = try Self.export(Self.config(), .vllm)
        #expect(export.layers[0][1] == ForeignHead(kind: .verticalSlash, columns: 4, window: 128, score: 0.5))
        let bare = try Self.config {
            $0[0][1].parameters.sinks = 0
            $0[0][1].parameters.columnCount = 0
        }
        #expect(try Self.export(bare, .vllm).layers[0][1].columns == 1)
        #expect(try Self.export(bare, .minference).layers[0][1] == ForeignHead(kind: .streaming, columns: 0, window: 128, score: 0.5))
    }

    @Test(arguments: ConfigExchange.Format.allCases) func exportImportExportIsTheSame(format: ConfigExchange.Format) throws {
        let first = try Self.export(Self.config(), format)
        let imported = try Self.importing(first.text, format).config
        let second = try Self.export(imported, format)
        #expect(second.text == first.text && second.estimatedHeads == 0)
        #expect(try Self.importing(second.text, format).config == imported)
    }

    /// Sizes past the length stay as they were: they matter to longer prompts.
    @Test func importExportIsTheSame() throws {
        let text = """
            [{"0": ["vertical_and_slash", 30, 6096, 0.9], "1": ["vertical_and_slash", 3500, 100, 0.8]},
            {"0": ["stream_llm", 0, 1, 0.0], "1": ["stream_llm", 128, 3968, 0.123456789012345]}]

            """
        #expect(try Self.export(Self.importing(text, .minference).config, .minference).text == text)
    }

    @Test func importedHeadsChooseAsTheRelativesDo() throws {
        let config = try Self.importing(Self.export(Self.config(), .minference).text, .minference).config
        let striped = config.buckets[0].layers[0][0]
        #expect(striped.parameters.pattern == .stripeWindow && striped.parameters.window == .tokens(128))
        #expect(striped.parameters.columnCount == 40 && striped.parameters.sinks == 0 && striped.parameters.denseLastRows == 0)
        #expect(striped.parameters.columnScoring == .allMass)
        #expect(striped.parameters.samplingPlan(queryCount: 1000).rows == Array(936..<1000))
        let streaming = config.buckets[0].layers[0][1].parameters
        #expect(streaming.pattern == .window && streaming.sinks == 4 && streaming.denseLastRows == 0)
        #expect(config.buckets[0].layers[1][1].parameters.pattern == .dense)
        #expect(config.model == Self.model && config.denseBelow == 0 && config.buckets[0].length == 1000)
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 1000, keyCount: 1000, headDimension: 8)
        let most = WindowColumns(window: 128, columns: (0..<40).map(Int32.init))
        #expect(striped.measured == .init(meanMass: 0.25, p1Mass: 0, minMass: 0, density: SparsePattern.windowColumns(most).density(shape)))
    }

    /// The config that an import gives is one that a file can hold.
    @Test func importedConfigsAreWholeFiles() throws {
        let config = try Self.importing(Self.export(Self.config(), .minference).text, .minference, length: 1000).config
        try TunedConfigTests().withFile(config.encoded()) { path in
            let read = try TunedConfig(contentsOf: path)
            #expect(read == config)
        }
    }

    /// MInference's published files count wrong elements: 336 is no share of anything, and then neither is 0.
    @Test func scoresThatAreNoSharesAreDropped() throws {
        func text(_ score: String) -> String {
            let heads = "{\"0\": [\"vertical_and_slash\", 9, 9, 1], \"1\": [\"vertical_and_slash\", 9, 9, \(score)]}"
            return "[\(heads), \(heads)]"
        }
        let counts = try Self.importing(text("336"), .minference)
        #expect(counts.config.buckets[0].layers.allSatisfy { $0.allSatisfy { $0.measured.meanMass == 0 } })
        #expect(counts.warning.contains("not shares"))
        let shares = try Self.importing(text("0.25"), .minference)
        #expect(shares.config.buckets[0].layers[0].map(\.measured.meanMass) == [1, 0.25])
        #expect(!shares.warning.contains("not shares"))
    }

    /// vLLM's own reader wants a list, but what is described as an object of layers is read too.
    @Test func layersMayBeAnObject() throws {
        let text = try Self.export(Self.config(), .vllm).text
        let lines = text.dropFirst().dropLast(2).split(separator: ",\n")
        let object = "{\"1\": \(lines[1]), \"0\": \(lines[0])}"
        #expect(try Self.importing(object, .vllm).config == Self.importing(text, .vllm).config)
    }

    @Test func shortPromptsAreDenseHeads() throws {
        let export = try Self.export(Self.config(), .vllm, length: 99)
        #expect(export.layers.allSatisfy { $0.allSatisfy { $0 == ForeignHead(kind: .verticalSlash, columns: 99, window: 99, score: 1) } })
        let rows = try Self.config { $0[1][0].parameters.denseLastRows = 1000 }
        #expect(try Self.export(rows, .vllm).layers[1][0].columns == 1000)
    }

    static let refused: [(String, InputError.Code, @Sendable (inout [[TunedConfig.Head]]) -> Void, [String])] = [
        (
            "column-slash", .unsupported, { $0[1][0].parameters.pattern = .columnSlash },
            ["layer 1, head 0, pattern: column-slash", "share"]
        ),
        (
            "key-blocks", .unsupported, { $0[1][0].parameters.pattern = .keyBlocks },
            ["layer 1, head 0, pattern: key-blocks", "keyBlockCount"]
        ),
        ("density below the window's", .configuration, { $0[1][0].measured.density = 0.01 }, ["layer 1, head 0, density: 0.01"]),
        ("no measurement", .unsupported, { $0[1].removeLast() }, ["layer 1, head 1, measured"]),
    ]

    @Test(arguments: refused.indices, ConfigExchange.Format.allCases)
    func refusesWhatHasNoWords(index: Int, format: ConfigExchange.Format) throws {
        let (name, code, change, parts) = Self.refused[index]
        let error = try #require(throws: InputError.self, "\(name)") { try Self.export(Self.config(change), format) }
        #expect(error.code == code && error.file == "config.json")
        for part in parts { #expect(error.description.contains(part), "\(error)") }
    }

    /// α keeps another number of columns at another length, and nobody has counted them.
    @Test func columnsByAlphaAreKnownAtTheirLengthOnly() throws {
        let error = try #require(throws: InputError.self) { try Self.export(Self.config(), .minference, length: 2000) }
        #expect(
            error.description.contains("layer 1, head 0, columnCount") && error.description.contains("measured at 1000 tokens, not at 2000")
        )
        let counted = try Self.config { $0[1][0].parameters.columnCount = 7 }
        #expect(try Self.export(counted, .minference, length: 2000).layers[1][0].window == 200)
    }

    static let hostile: [(text: String, code: InputError.Code, parts: [String])] = [
        ("", .invalidData, ["JSON"]),
        ("[", .invalidData, ["JSON"]),
        ("[NaN]", .invalidData, ["JSON"]),
        (String(repeating: "[", count: 100_000), .invalidData, ["JSON"]),
        ("7", .invalidData, ["JSON: 7.0", "must be a list"]),
        ("[]", .configuration, ["layers: 0: must be the model's 2"]),
        ("[HEADS, HEADS, HEADS]", .configuration, ["layers: 3: must be the model's 2"]),
        ("[HEADS, []]", .invalidData, ["layer 1: a list of 0: must be an object"]),
        ("[HEADS, {\"0\": HEAD}]", .configuration, ["layer 1, heads: 1: must be the model's 2"]),
        ("[HEADS, {\"0\": HEAD, \"2\": HEAD}]", .invalidData, ["layer 1, head 1", "\"2\"", "from 0 to 1"]),
        ("[HEADS, {\"0\": HEAD, \"01\": HEAD}]", .invalidData, ["layer 1, head 1", "\"01\""]),
        ("{\"0\": HEADS, \"7\": HEADS}", .invalidData, ["layer 1", "\"7\""]),
        ("[HEADS, {\"0\": HEAD, \"1\": null}]", .invalidData, ["layer 1, head 1: null"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 9, 9]}]", .invalidData, ["layer 1, head 1: a list of 3"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [1, 9, 9, 1]}]", .invalidData, ["layer 1, head 1: a list of 4"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"block_sparse\", 100, 1, 1]}]", .unsupported, ["head 1, pattern: block_sparse", "stream_llm"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"plaid\", 9, 9, 1]}]", .unsupported, ["pattern: plaid"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 0, 9, 1]}]", .invalidData, ["vertical size: 0.0", "from 1 to 1073741824"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 9, -9, 1]}]", .invalidData, ["slash size: -9.0"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 9.5, 9, 1]}]", .invalidData, ["vertical size: 9.5"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 1e300, 9, 1]}]", .invalidData, ["vertical size: 1e+300"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 1e999, 9, 1]}]", .invalidData, ["out of range"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", true, 9, 1]}]", .invalidData, ["vertical size: true"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"vertical_and_slash\", 9, 9, \"1\"]}]", .invalidData, ["score: \"1\"", "number"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"stream_llm\", -1, 9, 1]}]", .invalidData, ["n_init: -1.0"]),
        ("[HEADS, {\"0\": HEAD, \"1\": [\"stream_llm\", 4, 0, 1]}]", .invalidData, ["n_local: 0.0"]),
    ]

    @Test(arguments: hostile.indices) func hostileFilesAreRefused(index: Int) throws {
        let (template, code, parts) = Self.hostile[index]
        let text = template.replacingOccurrences(of: "HEADS", with: "{\"0\": HEAD, \"1\": HEAD}")
            .replacingOccurrences(of: "HEAD", with: "[\"vertical_and_slash\", 9, 9, 1]")
        let error = try #require(throws: InputError.self, "\(text.prefix(200))") { try Self.importing(text, .minference) }
        #expect(error.code == code && error.file == "foreign.json", "\(error)")
        for part in parts { #expect(error.description.contains(part), "\(part) is not in \(error)") }
        #expect(!error.description.contains("\n"))
    }

    @Test func vllmHasNoStreams() throws {
        let text = try Self.export(Self.config(), .minference).text
        let error = try #require(throws: InputError.self) { try Self.importing(text, .vllm) }
        #expect(error.code == .unsupported && error.description.contains("layer 0, head 1, pattern: stream_llm"), "\(error)")
    }

    @Test(arguments: [0, -5, 1 << 31]) func lengthsOutOfRangeAreRefused(length: Int) {
        #expect(throws: InputError.self) { try ConfigExchange(format: .vllm, length: length) }
    }
}
