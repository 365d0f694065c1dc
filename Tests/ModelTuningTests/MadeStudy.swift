import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import DurableFiles
import Foundation
import ModelFormats
import ModelTuning
import RunProvenance
import SampleAttention
import Synchronization

/// Studies of made models: a text of bytes, a machine on which pairs cost and the rest is free.
struct MadeStudy {
    let scratch: Scratch
    let text: TuningText
    let latency: LatencyModel
    var settings: TuningSettings

    init(lengths: [Int] = [320], trials: Int = 9) throws {
        scratch = try Scratch()
        try scratch.write(TinyModel.tokenizer(), to: "tokenizer.json")
        let settingsPath = try scratch.write(#"{"bos_token": "<|begin_of_text|>", "add_bos_token": true}"#, to: "tokenizer_config.json")
        let words = (0..<3000).map { "word\($0 * $0 % 97) " }.joined()
        text = TuningText(
            words, name: "made", path: "made.txt",
            tokenizer: try Tokenizer(path: scratch.file("tokenizer.json"), settingsPath: settingsPath))
        latency = LatencyModel(
            machine: .init(cpu: "none", instructionSet: "scalar", threads: 1, precision: .fp32), headDimension: 8,
            secondsPerUnit: [
                .densePairs: 1e-9, .windowPairs: 1e-9, .columnPairs: 1.2e-9, .blockPairs: 1e-9, .sampledPairs: 6e-10,
                .quantizedPairs: 2e-10,
            ])
        settings = TuningSettings(lengths: lengths)
        settings.trials = trials
        settings.seed = 7
        // Most rows of these short prompts may be sparse.
        settings.space.denseLastRows = 8
    }

    var path: String { scratch.file("journal.jsonl") }

    func header(_ model: MadeModel) -> StudyHeader {
        StudyHeader(model: MadeModel.identity, textSHA256: [text.sha256], settings: settings, kernel: model.kernel, latency: latency)
    }

    func journal(_ model: MadeModel, resume: Bool = false) throws -> StudyJournal {
        try StudyJournal(study: JournalFile(path), header: header(model), resume: resume)
    }

    /// Runs the study. - Parameter minutes: of the model's clock.
    func run(
        _ model: MadeModel, journal: StudyJournal? = nil, warmStart: TunedConfig? = nil, minutes: Double? = nil,
        progress: @escaping (TuningStudy.Progress) -> Void = { _ in }
    ) throws -> TuningStudy.Result {
        try TuningStudy(
            model: model, settings: settings, latency: latency, journal: journal, warmStart: warmStart, minutes: minutes,
            clock: model.clock
        ).run(text, progress: progress)
    }

    func config(_ buckets: [TunedConfig.Bucket]) -> TunedConfig {
        TunedConfig(
            model: MadeModel.identity,
            provenance: Provenance(
                tool: .init(version: "0", commit: "0"), machine: latency.machine, seed: 7, texts: [], lengths: settings.lengths,
                date: "2026-01-01T00:00:00Z"),
            denseBelow: 0, defaults: .dense, buckets: buckets)
    }

    /// Of full attention in one head.
    func denseMilliseconds(_ length: Int) -> Double {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: length, keyCount: length, headDimension: 8)
        return 1000 * latency.seconds(HeadWork(nil, pattern: .dense, shape: shape))
    }

    func lines() throws -> [String] { try scratch.read("journal.jsonl").split(separator: "\n").map(String.init) }
    func write(_ lines: some Sequence<String>) throws { try scratch.write(lines.map { $0 + "\n" }.joined(), to: "journal.jsonl") }
}

extension TunedConfig.Bucket {
    /// By layer and head.
    var patterns: [[SampleAttentionParameters.Pattern]] { layers.map { $0.map(\.parameters.pattern) } }
    var milliseconds: Double { layers.flatMap(\.self).reduce(0) { $0 + ($1.measured.milliseconds ?? 0) } }
    func parameters(_ layer: Int, _ head: Int) -> SampleAttentionParameters { layers[layer][head].parameters }
}
