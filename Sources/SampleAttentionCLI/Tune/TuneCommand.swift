import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import Evaluation
import Foundation
import LanguageModels
import ModelFormats
import ModelTuning
import Parallelism
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `tune`: find parameters for every head and write a config.
struct TuneCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune", abstract: "Find the fastest parameters for every head that keep a quality floor, and write a config file.",
        discussion: """
            Candidates are tried on every head's own Q, K and V; what each costs the model is predicted by a pass backward through the text as it is \
            and with facts, questions and repetitions interleaved, and measured for a few; then the heads share out what the floor lets go, are run \
            together on whole prompts of each length, of both kinds, and give way until the floor holds there. At the end \
            the config is checked on text and lengths it was not tuned on, and is not written when it fails there (unless --force). Tuning \
            reads the start of the first text; the check reads the last text, or the end of the only one. config.json, journal.jsonl and \
            report.html go to --output; a stopped study continues with --resume.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: TextOptions
    @OptionGroup var floor: FloorOptions

    @Option(help: ArgumentHelp("Folder for config.json, journal.jsonl and report.html.", valueName: "dir"))
    var output: String

    @Option(
        help:
            "Candidates of each head at the shortest length: windows and key blocks first (17 at 4,096 tokens), then what the sampler proposes."
    )
    var trials = 32

    @Option(help: "What proposes candidates, after a ladder of windows: quasi-random or tpe.")
    var sampler = SamplerKind.tpe.rawValue

    @Option(help: "About how long search, probes and allocation may take; the result then depends on the machine's pace.")
    var minutes: Double?

    @Option(help: ArgumentHelp("An earlier config of this model, whose parameters are tried first.", valueName: "file"))
    var warmStart: String?

    @OptionGroup var latency: LatencyOptions

    @Option(help: "Prompts shorter than this many tokens stay dense (default: measured: where sparse attention begins to pay).")
    var denseBelow: Int?

    @Flag(help: "Write the config even if it misses the floor on held-out text.")
    var force = false

    @Flag(help: "Continue the study whose journal is in the output folder.")
    var resume = false

    func run() throws {
        let start = ContinuousClock.now
        let session = try model.open()
        _ = try session.sparseLayers()
        let settings = try settings(session)
        let texts = try text.texts(session)
        let (tuned, heldOut) = try tuningTexts(texts, session: session, longest: settings.lengths.max()!)
        let warmText = try warmStart.map { path throws(InputError) in try TextFile.read(path) }
        let warm = try warmStart.map { path throws(InputError) in try session.config(at: path, text: warmText) }
        try TuningStudy.checkPrompts(tuned, settings: settings)
        try HeldOutCheck.checkPrompts(heldOut, tunedLengths: settings.lengths, seed: settings.seed)
        let directory = try OutputDirectory(output)
        try directory.reserve("config.json", "report.html")
        let locked = try LockedJournal<StudyHeader, StudyRecord>(directory.file("journal.jsonl"), resume: resume)
        let interruption = Interruption { locked.lastWord() }
        let latency = try self.latency.model(session, headDimension: session.model.description.headDimension)
        let identity = try session.identity()
        let journal = try locked.open { file in
            try StudyJournal(
                study: file,
                header: StudyHeader(
                    model: identity, textSHA256: texts.map(\.sha256), settings: settings, kernel: session.kernel, latency: latency.model,
                    warmStartSHA256: warmText.map(ModelFormats.sha256)),
                resume: resume)
        }
        let costs = try journal.header.latency(like: latency.model, path: journal.path)
        let result = try withExtendedLifetime(interruption) {
            let study = TuningStudy(
                model: session.model, settings: settings, latency: costs, journal: journal, warmStart: warm, minutes: minutes)
            let progress = StudyProgress()
            let found = try study.run(tuned) { progress.show($0) }
            let config = TunedConfig(
                model: identity, provenance: session.provenance(texts: [texts[0].identity], lengths: settings.lengths),
                denseBelow: denseBelow ?? latency.denseBelow(shortest: settings.lengths[0]), defaults: .dense, buckets: found.buckets)
            let check = try HeldOutCheck(model: session.model, config: config, seed: session.seed, journal: journal)
                .run(heldOut) { progress.show($0) }
            progress.finish()
            return TuningResult(
                config: config, settings: settings, study: found, latency: latency, costs: costs, heldOut: check.rows, heads: check.heads,
                seconds: (ContinuousClock.now - start).seconds, threadsBusy: session.kernel.pool.busyShare)
        }
        try finish(result, session: session, directory: directory)
    }

    /// Writes what may be written, prints, and fails when the config does not hold.
    private func finish(_ result: TuningResult, session: Session, directory: OutputDirectory) throws {
        let isWritten = result.holds || force
        if isWritten { try directory.write(result.config.encoded(), to: "config.json") }
        try directory.write(TuningReport(result).html(), to: "report.html")
        let files = ((isWritten ? ["config.json"] : []) + ["journal.jsonl", "report.html"]).map(directory.file)
        if session.json {
            JSONOutput.print(result)
        } else {
            print(TuningSummary(result).text + "\nWrote \(files.joined(separator: ", "))")
        }
        guard !isWritten else { return }
        // With --json the result has been printed, and says the same.
        Message.write(
            "error: \(directory.file("config.json")): \(result.settings.budgetMilliseconds == nil ? "held-out check" : "budget-ms"): \(result.misses.joined(separator: "; ")): not written (--force writes it; "
                + "a lower floor or more text may help)")
        throw ExitCode(InputError.Code.configuration.exitCode)
    }

    private func settings(_ session: Session) throws(InputError) -> TuningSettings {
        let longest = session.model.description.maximumPositions
        let standard = [4096, 8192, 16384, 32768].filter { $0 <= longest }
        var settings = TuningSettings(lengths: try text.lengths(session, default: standard.isEmpty ? [longest] : standard))
        settings.floor = try floor.floor()
        settings.budgetMilliseconds = try floor.budget()
        settings.trials = try ParameterOptions.count(trials, "trials", atLeast: 1, atMost: 100_000)
        settings.sampler = try ParameterOptions.choice(sampler, "sampler")
        settings.seed = session.seed
        // Above the shortest length, that length's parameters would never be used.
        if let denseBelow { _ = try ParameterOptions.count(denseBelow, "dense-below", atLeast: 0, atMost: settings.lengths[0]) }
        if let minutes { _ = try ParameterOptions.positive(minutes, "minutes") }
        return settings
    }

    /// The first text and the last one; with one text, all but its end and its end.
    private func tuningTexts(
        _ texts: [PromptText], session: Session, longest: Int
    ) throws(InputError) -> (tuned: TuningText, heldOut: TuningText) {
        let (first, last) = (texts[0], texts[texts.count - 1])
        let isAlone = first.sha256 == last.sha256
        for text in [first, last] where text.tokens.count < (isAlone ? 2 : 1) * longest {
            throw InputError(
                .invalidData, file: text.path, field: "text", value: "\(text.tokens.count) tokens",
                rule: "must hold \((isAlone ? 2 : 1) * longest) tokens"
                    + (isAlone ? " to tune on and to check on; or give a second --text" : ""))
        }
        func text(_ text: PromptText) -> TuningText {
            TuningText(text.content, name: text.name, path: text.path, tokenizer: session.model.tokenizer)
        }
        if !isAlone { return (text(first), text(last)) }
        let parts = TuningText.parts(
            of: first.content, name: first.name, path: first.path, tokenizer: session.model.tokenizer, lastTokens: longest)
        // Cut between words: the first part may have got a little less than it needs.
        for part in [parts.first, parts.last] where part.tokenCount < longest {
            throw InputError(
                .invalidData, file: first.path, field: "text", value: "\(first.tokens.count) tokens",
                rule: "must hold some more than \(2 * longest) tokens to tune on and to check on; or give a second --text")
        }
        return (parts.first, parts.last)
    }
}

/// What a config must keep, or may take.
struct FloorOptions: ParsableArguments {
    @Option(help: "Most growth of the next-token loss over dense attention: 0.01 is one per cent.")
    var floorNll = 0.01

    @Option(
        help:
            "Least share, in (0, 1], of the answers inside interleaved text that dense attention gives; below 1, one may be lost of a few.")
    var floorAnswers = 0.98

    @Option(help: "Least share of positions, in (0, 1], with dense attention's first choice (default: any).")
    var floorAgreement: Double?

    @Option(help: "Most nats of KL from dense attention at the worst hundredth of the positions (default: any).")
    var floorTail: Double?

    @Option(help: "Least mean retained mass of every head, in (0, 1] (default: any).")
    var floorMass: Double?

    @Option(help: "Instead: the least loss within so many milliseconds of attention a prompt, at each length.")
    var budgetMs: Double?

    func floor() throws(InputError) -> QualityFloor {
        var floor = QualityFloor()
        floor.lossIncrease = try ParameterOptions.positive(floorNll, "floor-nll")
        floor.answersKept = try Fraction(floorAnswers, field: "floor-answers").value
        floor.agreement = try floorAgreement.map { value throws(InputError) in try Fraction(value, field: "floor-agreement").value }
        floor.tailDivergence = try floorTail.map { value throws(InputError) in try ParameterOptions.positive(value, "floor-tail") }
        floor.mass = try floorMass.map { value throws(InputError) in try Fraction(value, field: "floor-mass").value }
        return floor
    }

    func budget() throws(InputError) -> Double? {
        try budgetMs.map { value throws(InputError) in try ParameterOptions.positive(value, "budget-ms") }
    }
}

/// A progress bar for each phase of a study.
private final class StudyProgress {
    private var bar: ProgressBar?
    private var phase: TuningStudy.Progress.Phase?

    func show(_ progress: TuningStudy.Progress) {
        if progress.phase != phase || progress.done <= 1 && bar != nil {
            bar?.finish()
            bar = ProgressBar(progress.phase.rawValue, total: progress.total)
            phase = progress.phase
        }
        bar?.update(done: progress.done, status: progress.status)
    }

    func finish() { bar?.finish() }
}
