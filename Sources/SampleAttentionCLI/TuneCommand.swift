import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import Foundation
import LanguageModels
import LinearAlgebra
import ModelFormats
import Reporting
import SampleAttention

/// `tune`: find parameters for every head and write a config.
struct TuneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune", abstract: "Search α, window and sampling for every head and write a config file.",
        discussion: """
            Every head of every layer tries the standard setting and a seeded quasi-random sequence of others on its own Q, K and V; \
            retained mass is exact over all query rows. Tuning reads the start of the first text, the check at the end reads the end of \
            the last one. Each head gets the cheapest parameters that meet the floors, or stays dense. \
            The config is then run on text it was not tuned on. config.json, journal.jsonl and report.html go to --output; a stopped \
            study continues with --resume.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions

    @Option(help: ArgumentHelp("Folder for config.json, journal.jsonl and report.html.", valueName: "dir"))
    var output: String

    @Option(help: "Trials a head and length.")
    var trials = 24

    @Option(help: "Least mean retained mass of a head, in (0, 1].")
    var floorMass = 0.95

    @Option(help: "Least 1st percentile over queries of a head's retained mass, in (0, 1].")
    var floorP1 = 0.6

    @Option(help: "Prompts shorter than this many tokens stay dense (default: 1024, or the shortest tuned length if that is less).")
    var denseBelow: Int?

    @Flag(help: "Continue the study whose journal is in the output folder.")
    var resume = false

    func run() throws {
        let start = ContinuousClock.now
        _ = try ParameterOptions.count(trials, "trials", atLeast: 1, atMost: 100_000)
        if let denseBelow { _ = try ParameterOptions.count(denseBelow, "dense-below", atLeast: 0) }
        let floor = RetainedMassFloor(mean: try Fraction(floorMass, field: "floor-mass"), p1: try Fraction(floorP1, field: "floor-p1"))
        let session = try model.open()
        let lengths = try text.lengths(session, default: [4096, 16384])
        let texts = try text.texts(session)
        let prompts = try lengths.map { try texts[0].prompt(length: $0) }
        let heldOut = try HeldOutCheck(texts: texts, lengths: lengths)
        let directory = try OutputDirectory(output)
        try directory.reserve("config.json", "report.html")
        let identity = try session.identity()
        let study = Study(
            session: session, tuner: HeadTuner(kernel: session.kernel, space: SearchSpace(), seed: session.seed), trials: trials)
        let journal = try StudyJournal(
            study: directory.file("journal.jsonl"),
            header: StudyHeader(
                model: identity, textSHA256: texts.map(\.sha256), seed: session.seed, trialsPerHead: trials,
                space: study.tuner.space, instructionSet: session.kernel.instructionSet.rawValue,
                precision: session.kernel.precision),
            resume: resume)
        let interruption = Interruption {
            journal.settle()
            return "stopped; \(journal.path) is whole. Continue with the same command and --resume."
        }
        let results = try withExtendedLifetime(interruption) { try study.run(prompts, journal: journal) }
        let config = TunedConfig(
            model: identity, provenance: session.provenance(texts: [texts[0]], lengths: lengths),
            denseBelow: denseBelow ?? min(1024, lengths[0]),
            defaults: .standard, buckets: lengths.map { study.bucket(length: $0, trials: results, floor: floor) })
        let checks = try heldOut.run(config, session: session)
        try directory.write(config.encoded(), to: "config.json")
        let result = TuningResult(
            config: config, floor: floor, trials: results.count, seconds: (ContinuousClock.now - start).seconds, heldOut: checks)
        try directory.write(TuningReport.make(result, trials: results).html(), to: "report.html")
        if session.json { JSONOutput.print(result) } else { print(TuningReport.summary(result, directory: directory), terminator: "") }
    }
}

/// Trials of all heads at all lengths, journalled as they finish.
private struct Study {
    let session: Session
    let tuner: HeadTuner
    let trials: Int

    func run(_ prompts: [[Int32]], journal: StudyJournal) throws -> [FrozenTrial] {
        let heads = session.model.configuration.queryHeads
        let layers = session.model.configuration.layerCount
        let lengths = Set(prompts.map(\.count))
        // An earlier run may have had other lengths too.
        var results = journal.recorded.filter { lengths.contains($0.length) && (0..<layers).contains($0.layer) }
        let before = results.count / heads
        let progress = ProgressBar("tune", total: prompts.count * layers * trials, alreadyDone: before)
        defer { progress.finish() }
        for tokens in prompts {
            // The journal grows by whole trials of all heads of a layer.
            let done = (0..<layers).map { layer in
                results.filter { $0.length == tokens.count && $0.layer == layer }.count / heads
            }
            guard done.contains(where: { $0 < trials }) else { continue }
            let workspace = AttentionWorkspace()
            var finished = prompts.prefix { $0.count != tokens.count }.count * layers * trials
            var tap = AttentionTap { layer, inputs, _ in
                finished += min(done[layer], trials)
                try tuner.tune(layer: layer, inputs: inputs, count: trials, done: done[layer], workspace: workspace) { batch in
                    try journal.append(batch)
                    results += batch
                    finished += 1
                    progress.update(done: finished, status: "\(tokens.count) tokens, layer \(layer)")
                }
            }
            let cache = session.model.makeCache(capacity: tokens.count)
            _ = try session.model.prefill(tokens, cache: cache, policy: .dense, observer: &tap)
        }
        return results.sorted { ($0.length, $0.layer, $0.head, $0.number) < ($1.length, $1.layer, $1.head, $1.number) }
    }

    func bucket(length: Int, trials: [FrozenTrial], floor: RetainedMassFloor) -> TunedConfig.Bucket {
        let c = session.model.configuration
        return TunedConfig.Bucket(
            length: length,
            layers: (0..<c.layerCount).map { layer in
                (0..<c.queryHeads).map { head in
                    let best = floor.cheapest(trials, length: length, layer: layer, head: head)
                    return TunedConfig.Head(parameters: best.parameters, measured: best.measured)
                }
            })
    }
}

/// The config on text it was not tuned on, against dense attention.
struct HeldOutCheck {
    private let prompts: [(text: String, tokens: [Int32])]

    struct Row: Encodable {
        let text: String
        let length: Int
        let nllDense, nllTuned, density: Double
        /// Share of positions where both give the same first choice.
        let agreement: Double
        let prefillSecondsDense, prefillSecondsTuned: Double
    }

    /// Prompts from the end of the last text; tuning reads the first one from its start. With one text they must not overlap.
    ///
    /// - Throws: `InputError` (`invalidData`) when the text holds too little for both.
    init(texts: [PromptText], lengths: [Int]) throws(InputError) {
        let text = texts.last!
        let isTuningText = text.sha256 == texts[0].sha256
        var prompts: [(String, [Int32])] = []
        for length in lengths {
            let offset = text.tokens.count - length
            if isTuningText, offset < lengths.max()! {
                throw InputError(
                    .invalidData, file: text.path, field: "text", value: "\(text.tokens.count) tokens",
                    rule: "must hold \(length) tokens to check on after the \(lengths.max()!) to tune on; or give a second --text")
            }
            prompts.append((text.name, try text.prompt(length: length, offset: max(0, offset))))
        }
        self.prompts = prompts
    }

    func run(_ config: TunedConfig, session: Session) throws -> [Row] {
        let progress = ProgressBar("held-out check", total: prompts.count)
        defer { progress.finish() }
        return try prompts.map { name, tokens in
            let dense = try session.model.score(tokens, policy: .dense)
            let tuned = try session.model.score(tokens, policy: .tuned(config))
            progress.advance()
            let same = zip(dense.firstChoices, tuned.firstChoices).count { $0 == $1 }
            return Row(
                text: name, length: tokens.count, nllDense: dense.negativeLogLikelihood, nllTuned: tuned.negativeLogLikelihood,
                density: tuned.report.density, agreement: Double(same) / Double(tokens.count), prefillSecondsDense: dense.report.seconds,
                prefillSecondsTuned: tuned.report.seconds)
        }
    }
}

/// What `tune` prints.
struct TuningResult: Encodable {
    let config: TunedConfig
    let floor: RetainedMassFloor
    let trials: Int
    let seconds: Double
    let heldOut: [HeldOutCheck.Row]
}
