import ArgumentParser
import AttentionCore
import AttentionLayers
import Autotuning
import DurableFiles
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `search`: what each head could be, without a model that judges it.
struct SearchCommand: LayerCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Try parameters on every head alone, and show the cheapest that keep a share of its mass.",
        discussion: """
            The first part of `tune`: candidates on every head's own Q, K and V, all query rows measured, predicted time against output error. \
            It needs no model, only the layers of a prompt, so it works on what any program captured (--captured). What a head's error \
            costs the model's answers is not asked: prefer `tune` where the model itself can be run. Shorter prompts are searched, longer \
            ones try what those left. With --output, config.json gets the cheapest parameters that keep --floor-mass, and journal.jsonl \
            every trial: a stopped search continues with --resume, and a finished one gives the config of another --floor-mass at once.
            """)

    @OptionGroup var layers: LayerOptions

    @Option(
        help:
            "Candidates of each head at the shortest length: windows and key blocks first (17 at 4,096 tokens), then what the sampler proposes."
    )
    var trials = 32

    @Option(help: "What proposes candidates, after a ladder of windows: quasi-random or tpe.")
    var sampler = SamplerKind.tpe.rawValue

    @Option(help: "Least mean retained mass of every head, in (0, 1].")
    var floorMass = 0.95

    @OptionGroup var latency: LatencyOptions

    @Option(help: ArgumentHelp("Folder for config.json and journal.jsonl.", valueName: "dir"))
    var output: String?

    @Flag(help: "Continue the search whose journal is in the output folder.")
    var resume = false

    func run() throws {
        if resume { try OutputDirectory.requireJournal(in: output, of: "search") }
        let floor = try Fraction(floorMass, field: "floor-mass").value
        var settings = TuningSettings(lengths: [])
        settings.trials = try ParameterOptions.count(trials, "trials", atLeast: 1, atMost: 100_000)
        settings.sampler = try ParameterOptions.choice(sampler, "sampler")
        let run = try layers.open(lengths: [4096], everyText: false)
        guard run.sources.count == run.lengths.count else {
            throw InputError(
                .usage, field: layers.captured.isEmpty ? "text" : "captured", value: "\(run.sources.count) prompts",
                rule: "a search takes one prompt of each length")
        }
        settings.seed = run.seed
        let directory = try output.map { path throws(InputError) in try OutputDirectory(path) }
        try directory?.reserve("config.json")
        let locked = try directory.map { directory throws(InputError) in
            try LockedJournal<HeadStudyHeader, FrozenTrial>(directory.file("journal.jsonl"), resume: resume)
        }
        let interruption = Interruption { locked?.lastWord() ?? "stopped; with --output DIR a search can be continued." }
        let identity = try run.identity()
        let latency = try latency.model(run, headDimension: identity.headDimension)
        let journal = try locked.map { locked in
            try locked.open { file in
                try HeadStudyJournal(
                    heads: file,
                    header: HeadStudyHeader(model: identity, sources: run.sources, settings: settings, latency: latency.model),
                    resume: resume)
            }
        }
        let costs = try journal.map { journal in try journal.header.latency(like: latency.model, path: journal.path) } ?? latency.model
        let heads = try withExtendedLifetime(interruption) {
            try Self.heads(HeadStudy(settings: settings, latency: costs, journal: journal), sources: run.sources)
        }
        let result = SearchResult(
            model: identity, provenance: run.provenance(), floorMass: floor, trials: settings.trials, sampler: settings.sampler,
            heads: heads)
        if let directory {
            let config = HeadStudy.config(
                heads, meanMass: floor, model: identity, provenance: result.provenance,
                denseBelow: latency.denseBelow(shortest: run.lengths[0]))
            try directory.write(config.encoded(), to: "config.json")
        }
        if run.json { JSONOutput.print(result) } else { print(result.text, terminator: "") }
        if let directory, !run.json { print("\nWrote \(directory.file("config.json")) and \(directory.file("journal.jsonl"))") }
    }

    private static func heads(_ study: HeadStudy, sources: [any LayerSource]) throws -> [HeadStudy.Head] {
        var bar: ProgressBar?
        defer { bar?.finish() }
        return try study.run(sources) { progress in
            if bar == nil || progress.done == 1 {
                bar?.finish()
                bar = ProgressBar("search", total: progress.total)
            }
            bar?.update(done: progress.done, status: "\(progress.tokens) tokens, layer \(progress.layer)")
        }
    }
}
