import ArgumentParser
import AttentionCore
import AttentionKernels
import DurableFiles
import Evaluation
import Foundation
import HeadProfiling
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

/// `profile`: exact sparsity degree, structure and retained mass of every head.
struct ProfileCommand: LayerCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Measure every head exactly: sparsity degree, structure, and the attention mass a pattern keeps.",
        discussion: """
            SD(α) is the largest share of causal query-key pairs that any mask could drop while every query keeps α of its mass; \
            structured SD the same for a window with columns, columns with slashes, or blocks of 32 keys chosen for each 64 queries; \
            what lies between is the structure gap. Retained mass is measured for the pattern of --attention (default: sample); its minimum over queries is the paper's CRA, and the \
            query it belongs to is named. Every query row counts, none is sampled. With --output, profile.json and report.html are \
            written there; until then a journal is, with which a stopped profile continues by --resume.
            """)

    @OptionGroup var layers: LayerOptions
    @OptionGroup var attention: AttentionOptions

    @Option(help: ArgumentHelp("α of the sparsity degree; repeatable (default: 0.9 0.95 0.99).", valueName: "share"))
    var sparsityAlpha: [Double] = []

    @Option(help: ArgumentHelp("Folder for profile.json and report.html.", valueName: "dir"))
    var output: String?

    @Flag(help: "Continue the profile whose journal is in the output folder.")
    var resume = false

    func run() throws {
        if resume { try OutputDirectory.requireJournal(in: output, of: "profile") }
        let alphas = try (sparsityAlpha.isEmpty ? [0.9, 0.95, 0.99] : sparsityAlpha).map { try Fraction($0, field: "sparsity-alpha") }
        let run = try layers.open(lengths: [4096], everyText: false)
        let policy = try attention.sampleAttentionPolicy(run, default: "sample")
        let scale = ProfileScale(alphas: alphas)
        let study = ProfileStudy(run.sources, policy: policy, scale: scale)
        let directory = try output.map { path throws(InputError) in try OutputDirectory(path) }
        try directory?.reserve("profile.json", "report.html")
        let journal = try directory.map { directory throws(InputError) in
            try ProfileJournal(
                profile: directory.file("journal.jsonl"), header: study.header(model: run.identity()), lengths: run.lengths, resume: resume)
        }
        let interruption = Interruption(journal, work: "a profile")
        let prompts = try Self.profiles(of: study, journal: journal)
        let result = ProfileResult(
            model: try run.identity(), provenance: run.provenance(), attention: policy.name, scale: scale, prompts: prompts)
        if let directory, let journal { try Self.write(result, to: directory, keeping: journal) }
        // Until here the journal holds everything; from here on nothing is left to continue.
        interruption.end()
        journal?.discard()
        if run.json { JSONOutput.print(result) } else { print(result.summary, terminator: "") }
        if let directory, !run.json { print("\nWrote \(directory.file("profile.json")) and \(directory.file("report.html"))") }
    }
}

extension ProfileCommand {
    private static func profiles(of study: ProfileStudy, journal: ProfileJournal?) throws -> [PromptProfile] {
        var bar: ProgressBar?
        defer { bar?.finish() }
        return try study.run(journal: journal) { progress in
            if bar == nil { bar = ProgressBar("profile", total: progress.total, alreadyDone: progress.done) }
            bar?.update(done: progress.done, status: "\(progress.tokens) tokens of \(progress.text.name)")
        }
    }

    /// - Throws: `InputError` when the disk fails; it says that the measurements are not lost.
    fileprivate static func write(
        _ result: ProfileResult, to directory: OutputDirectory, keeping journal: ProfileJournal
    ) throws(InputError) {
        do {
            try directory.write(JSONResult.encode(result), to: "profile.json")
            try directory.write(ProfileReport.make(result).html(), to: "report.html")
        } catch {
            throw InputError(
                error.code, file: error.file, field: error.field, value: error.value,
                rule: "\(error.rule); all is measured and in \(journal.path): --resume will write it")
        }
    }
}
