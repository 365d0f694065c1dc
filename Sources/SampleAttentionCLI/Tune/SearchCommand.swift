import ArgumentParser
import AttentionCore
import AttentionLayers
import Autotuning
import DurableFiles
import ModelTuning
import Reporting
import RunProvenance
import SampleAttention

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

    @Option(help: "Candidates of each head at the shortest length.")
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

/// What `search` prints.
private struct SearchResult: Encodable {
    let model: ModelIdentity
    let provenance: Provenance
    let floorMass: Double
    let trials: Int
    let sampler: SamplerKind
    let heads: [HeadStudy.Head]

    var text: String {
        provenance.lengths.map { length in
            let own = heads.filter { $0.length == length }
            let chosen = own.map { $0.cheapest(meanMass: floorMass) }
            let dense = own.reduce(0) { $0 + $1.denseMilliseconds }
            let sparse = zip(own, chosen).reduce(0) { $0 + ($1.1?.cost ?? $1.0.denseMilliseconds) }
            return "\(NumberFormat.count(length)) tokens, \(own.count) heads: the cheapest trial of each that keeps "
                + "\(NumberFormat.percent(floorMass)) of its mass\n\n" + Self.table(own, chosen)
                + "\nAttention, predicted: \(NumberFormat.significant(sparse)) ms of \(NumberFormat.significant(dense)) ms dense\n"
        }.joined(separator: "\n")
    }

    private static func table(_ heads: [HeadStudy.Head], _ chosen: [FrozenTrial?]) -> String {
        var table = TextTable(
            columns: [.right("layer"), .right("head"), .left("pattern")]
                + ["density", "mean mass", "p1 mass", "output error", "ms", "of dense"].map { .right($0) })
        for (head, trial) in zip(heads, chosen) {
            guard let trial else {
                table.append(
                    ["\(head.layer)", "\(head.head)", "dense", NumberFormat.percent(1), "1.0000", "1.0000", "0"]
                        + [NumberFormat.significant(head.denseMilliseconds), NumberFormat.percent(1)])
                continue
            }
            table.append([
                "\(head.layer)", "\(head.head)", trial.parameters.pattern.rawValue, NumberFormat.percent(trial.measured.density),
                NumberFormat.fixed(trial.measured.meanMass, decimals: 4), NumberFormat.fixed(trial.measured.p1Mass, decimals: 4),
                NumberFormat.significant(trial.error), NumberFormat.significant(trial.cost),
                NumberFormat.percent(trial.cost / head.denseMilliseconds),
            ])
        }
        return table.text()
    }
}
