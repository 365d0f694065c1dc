import ArgumentParser
import AttentionCore
import AttentionLayers
import Evaluation
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `audit`: what sampling promised against what all rows keep.
struct AuditCommand: LayerCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Compare the mass that selections saw in sampled rows with what they keep in all rows.",
        discussion: """
            SampleAttention meets α in the rows it samples. For each rule and ratio of sampling this selects stripes for every head and \
            measures the retained mass of every query row: the distribution over heads of (true mean mass − α), and how many heads \
            stay below α. No rows are computed densely.
            """)

    @OptionGroup var layers: LayerOptions

    @Option(help: ArgumentHelp("stride, tail-blocks, last-rows or random; repeatable (default: all).", valueName: "rule"))
    var rule: [String] = []

    @Option(help: ArgumentHelp("Share of the query rows sampled; repeatable (default: 0.005 0.01 0.02 0.05 0.1).", valueName: "share"))
    var ratio: [Double] = []

    @Option(help: "Share of the sampled mass to keep, in (0, 1].")
    var alpha = 0.95

    @Option(help: "Window as a share of the prompt, in (0, 1].")
    var windowRatio = 0.08

    func run() throws {
        var parameters = SampleAttentionParameters.standard
        parameters.alpha = try Fraction(alpha, field: "alpha")
        parameters.window = .ratio(try Fraction(windowRatio, field: "window-ratio"))
        let rules = try rule.map { name throws(InputError) -> SampleAttentionParameters.Sampling in
            try ParameterOptions.choice(name, "rule")
        }
        let ratios = try (ratio.isEmpty ? [0.005, 0.01, 0.02, 0.05, 0.1] : ratio).map { try Fraction($0, field: "ratio") }
        let run = try layers.open(lengths: [4096, 16384], everyText: true)
        let audit = SamplingAudit(
            standard: parameters, rules: rules.isEmpty ? SampleAttentionParameters.Sampling.allCases : rules, ratios: ratios,
            seed: run.seed)
        let progress = ProgressBar("audit", total: run.sources.count * run.layers.count)
        let outcomes = try run.sources.map { source in try audit.run(source) { progress.advance() } }
        progress.finish()
        let results = run.lengths.map { length in
            AuditResult.Length(
                length: length,
                rules: audit.cases.indices.map { index in
                    let own = zip(run.sources, outcomes).filter { $0.0.tokens == length }.flatMap { $0.1[index] }
                    return SamplingAudit.Summary(audit.cases[index], own, alpha: alpha)
                })
        }
        let result = AuditResult(
            model: try run.identity(), provenance: run.provenance(), alpha: alpha, windowRatio: windowRatio, lengths: results)
        if run.json { JSONOutput.print(result) } else { print(result.text, terminator: "") }
    }
}
