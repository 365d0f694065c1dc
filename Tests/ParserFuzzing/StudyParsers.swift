import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import DurableFiles
import Evaluation
import Foundation
import HeadProfiling
import LanguageModels
import ModelTuning
import RunProvenance
import SampleAttention

extension FuzzedParser {
    /// What `calibrate`, `tune`, `profile` and `compare` leave, and other programs' configs.
    static let studyParsers: [FuzzedParser] =
        [
            FuzzedParser(name: "tuned-config") { _ in
                Prepared(
                    samples: try [config(), exportableConfig()].map { try Sample(json: String(decoding: $0.encoded(), as: UTF8.self)) }
                ) { path in
                    let config = try TunedConfig(contentsOf: path)
                    for length in [1, 150, 1 << 40] { _ = (0..<3).map { config.parameters(layer: $0, promptLength: length) } }
                    _ = config.encoded()
                    for format in ConfigExchange.Format.allCases { try export(config, format) }
                }
            },
            FuzzedParser(name: "latency-file") { _ in
                Prepared(samples: [Sample([latencyFile])]) { path in
                    let file = try LatencyFile(contentsOf: path)
                    _ = (file.encoded(), file.doubt, file.denseBelow(shortest: 4096), file.residuals.map(\.relativeError))
                }
            },
            FuzzedParser(name: "study-journal", prepare: prepareStudyJournal),
            FuzzedParser(name: "profile-journal", prepare: prepareProfileJournal),
            FuzzedParser(name: "comparison-journal", prepare: prepareComparisonJournal),
        ]
        + ConfigExchange.Format.allCases.map { format in
            FuzzedParser(name: "foreign-config-\(format.rawValue)") { _ in
                let bare = format == .minference ? "stream_llm" : "vertical_and_slash"
                let sample = try Sample(json: #"[{"0":["vertical_and_slash",30,64,0.9],"1":["\#(bare)",4,64,0.9]}]"#)
                let object = try Sample(json: #"{"0":{"0":["vertical_and_slash",200,800,1.5],"1":["vertical_and_slash",1,1,0]}}"#)
                return Prepared(samples: [sample, object]) { path in
                    let data = FileManager.default.contents(atPath: path) ?? Data()
                    let exchange = try ConfigExchange(format: format, length: 200)
                    _ = try exchange.imported(data, file: path, model: identity, provenance: FuzzingModel.provenance()).config.encoded()
                }
            }
        }

    private static let identity = ModelIdentity(
        family: "llama", layers: 1, queryHeads: 2, keyValueHeads: 1, headDimension: 8, weightsSHA256: "ab", tokenizerSHA256: "cd")

    /// Heads of every pattern.
    private static func config() throws -> TunedConfig {
        var slashes = SampleAttentionParameters.standard
        slashes.pattern = .columnSlash
        slashes.alphaSlashes = try Fraction(0.8)
        slashes.sampling = .random
        var counted = SampleAttentionParameters.standard
        counted.columnCount = 30
        let all = [
            SampleAttentionParameters.standard, .window(tokens: 16, sinks: 4), slashes, counted, .keyBlocks(count: 3, window: 16, sinks: 4),
            .dense,
        ]
        let measured = TunedConfig.Measurement(meanMass: 0.97, p1Mass: 0.5, minMass: 0.25, density: 0.3, outputError: 0.01, milliseconds: 1)
        var model = identity
        model.queryHeads = all.count
        let heads = all.map { TunedConfig.Head(parameters: $0, measured: measured) }
        return TunedConfig(
            model: model, provenance: FuzzingModel.provenance(), denseBelow: 100, defaults: .standard,
            buckets: [.init(length: 200, layers: [heads]), .init(length: 400, layers: [heads])])
    }

    private static func exportableConfig() throws -> TunedConfig {
        var config = try config()
        for bucket in config.buckets.indices {
            config.buckets[bucket].layers[0].removeAll { [.columnSlash, .keyBlocks].contains($0.parameters.pattern) }
        }
        config.model.queryHeads -= 2
        return config
    }

    /// What the other program cannot express is refused, which is as it should be.
    private static func export(_ config: TunedConfig, _ format: ConfigExchange.Format) throws {
        let exchange = try ConfigExchange(format: format, length: 200)
        _ = try? exchange.exported(config, file: "config.json").text
    }

    private static var latencyFile: JSONTree {
        let costs = HeadWork.Term.allCases.map { ($0.rawValue, JSONTree.raw("1e-9")) }
        let text = """
            {"schemaVersion":1,"headDimension":8,"meanAbsolutePercentageError":0.15,"fitMeanAbsolutePercentageError":0.04,
            "crossovers":[{"setting":"window","lengths":[128,256],"denseSeconds":[1,2],"sparseSeconds":[2,1],"denseBelow":256}],
            "residuals":[{"kind":"window","configuration":"w","length":128,"heads":2,"isHeldOut":true,"measuredSeconds":1.5,
            "predictedSeconds":1.25,"work":{"heads":2}}],
            "provenance":{"tool":{"version":"0","commit":"0"},"machine":{"cpu":"none","instructionSet":"scalar","threads":1},
            "seed":1,"texts":[],"lengths":[128,256],"date":"2026-01-01T00:00:00Z"}}
            """
        guard case .object(let members)? = try? JSONTree(parsing: Data(text.utf8)) else { preconditionFailure("no latency file") }
        return .object(members + [("secondsPerUnit", .object(costs))])
    }
}

// MARK: - Journals

extension FuzzedParser {
    /// The lines of the journal at `path`, and a reader that opens a copy, because opening cuts what is broken off.
    private static func prepared(_ path: String, open: @escaping (String) throws -> Void) throws -> Prepared {
        let sample = try Sample(lines: Data(contentsOf: URL(fileURLWithPath: path)))
        return Prepared(samples: [sample]) { input in
            try FileManager.default.contents(atPath: input)?.write(to: URL(fileURLWithPath: path))
            try open(path)
        }
    }

    private static func tokens(_ count: Int) -> [Int32] { [256] + (1..<count).map { Int32($0 * $0 % 97) } }

    private static func prepareStudyJournal(_ fuzzing: FuzzingModel) throws -> Prepared {
        let model = try fuzzing.load()
        var settings = TuningSettings(lengths: [320])
        settings.trials = 2
        let latency = LatencyModel(
            machine: FuzzingModel.provenance().machine, headDimension: 8,
            secondsPerUnit: Dictionary(uniqueKeysWithValues: HeadWork.Term.allCases.map { ($0, 1e-9) }))
        let header = StudyHeader(
            model: try model.identity(), textSHA256: ["ab"], settings: settings, kernel: model.kernel, latency: latency)
        let path = fuzzing.scratch.file("study.jsonl")
        let text = (0..<4000).map { "word\($0 * $0 % 97) " }.joined()
        _ = try TuningStudy(
            model: model, settings: settings, latency: latency,
            journal: StudyJournal(study: JournalFile(path), header: header, resume: false)
        ).run(TuningText(text, name: "text", path: "text", tokenizer: model.tokenizer))
        return try prepared(path) { path in
            let journal = try StudyJournal(study: JournalFile(path), header: header, resume: true)
            _ = TuningStudy(
                model: model, settings: settings, latency: try journal.header.latency(like: latency, path: path), journal: journal)
        }
    }

    private static func prepareProfileJournal(_ fuzzing: FuzzingModel) throws -> Prepared {
        let model = try fuzzing.load()
        let scale = ProfileScale(alphas: [try Fraction(0.9)])
        let header = ProfileHeader(
            model: try model.identity(), textSHA256: ["ab"], attention: "sample", scale: scale, instructionSet: "any", precision: "fp32")
        let path = fuzzing.scratch.file("profile.jsonl")
        let journal = try ProfileJournal(profile: path, header: header, lengths: [40], resume: false)
        let profiler = ModelProfiler(policy: .fixed(.standard, name: "sample"), scale: scale)
        let source = PromptLayers(tokens(40), of: .init(name: "text", sha256: "ab"), model: model)
        _ = try profiler.profile(source, work: WorkExecutor(journal: journal) { LayerItem($0) })
        return try prepared(path) { path in
            let journal = try ProfileJournal(profile: path, header: header, lengths: [40], resume: true)
            let source = PromptLayers(tokens(40), of: .init(name: "text", sha256: "ab"), model: model)
            _ = try profiler.profile(source, work: WorkExecutor(journal: journal) { LayerItem($0) })
        }
    }

    private static func prepareComparisonJournal(_ fuzzing: FuzzingModel) throws -> Prepared {
        let model = try fuzzing.load()
        let tasks = [false, true].map { isReading in
            EvaluationTask(
                id: "\(isReading)", name: "task", length: 20, depth: 0.5,
                content: isReading ? .reading(text: "abc abc abc", answers: [4..<7]) : .question(.init(prompt: "abc", answers: ["a"])))
        }
        let comparison = ComparisonStudy(model: model, policies: [.dense, .fixed(.standard, name: "sample")], tasks: tasks)
        let header = ComparisonHeader(
            model: try model.identity(), methods: "m", tasks: "t", instructionSet: "any", precision: "fp32", threads: 1)
        let path = fuzzing.scratch.file("comparison.jsonl")
        let journal = try ComparisonJournal(comparison: path, header: header, turns: comparison.turns, resume: false)
        for turn in comparison.turns { try journal.append([try comparison.run(turn)]) }
        return try prepared(path) { path in
            let recorded = try ComparisonJournal(comparison: path, header: header, turns: comparison.turns, resume: true).recorded
            // Fails on what is not finite, which the program's JSON cannot hold.
            let encoder = JSONEncoder()
            _ = (try encoder.encode(ComparisonRow.rows(recorded)), try encoder.encode(ComparisonCell.cells(recorded)))
        }
    }
}
