import AttentionCore
import AttentionKernels
import AttentionTestSupport
import DurableFiles
import Evaluation
import Foundation
import HeadProfiling
import LanguageModels
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// Profiles of several prompts in turn, and going on with them.
@Suite struct ProfileStudyTests {
    private let scratch: Scratch
    private let model: LanguageModel
    private let sources: [PromptLayers]
    private let study: ProfileStudy
    private var path: String { scratch.file("journal.jsonl") }

    /// Two texts of one length, three layers of two heads.
    init() throws {
        let tiny = try TinyModel(Scratch(), shape: .init(layers: 3))
        scratch = tiny.scratch
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
        self.model = model
        sources = ["aa", "bb"].enumerated().map { index, name in
            PromptLayers([256] + (0..<149).map { Int32($0 * ($0 + index) % 97) }, of: .init(name: name, sha256: name), model: model)
        }
        study = ProfileStudy(sources, policy: .fixed(.standard, name: "sample"), scale: ProfileScale(alphas: [try Fraction(0.9)]))
    }

    private func run(resume: Bool, progress: (ProfileStudy.Progress) -> Void = { _ in }) throws -> [PromptProfile] {
        let journal = try ProfileJournal(profile: path, header: study.header(model: model.identity()), lengths: [150], resume: resume)
        return try study.run(journal: journal, progress: progress)
    }

    private func expectEqual(_ found: [PromptProfile], _ expected: [PromptProfile]) {
        for (a, b) in zip(found.flatMap(\.layers), expected.flatMap(\.layers)) {
            #expect(a.heads == b.heads && a.overlaps == b.overlaps && a.errors == b.errors && a.textSHA256 == b.textSHA256)
        }
        #expect(found.map(\.layers.count) == expected.map(\.layers.count))
    }

    /// Whichever layers a journal holds, of whichever prompt, the others are measured and the end is the same.
    @Test func goesOnFromAnyLayers() throws {
        var reports: [ProfileStudy.Progress] = []
        let expected = try run(resume: false) { reports.append($0) }
        #expect(expected.map(\.layers.count) == [3, 3] && expected[1].layers[0].overlaps.otherPrompt != nil)
        #expect(reports.first?.done == 0 && reports.last?.done == 12 && reports.allSatisfy { $0.total == 12 })
        let lines = try scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        #expect(lines.count == 7)
        for kept in [[], [0], [0, 1, 2, 3], [1], [2, 4], [5, 0], [0, 1, 2, 3, 4, 5]] as [[Int]] {
            try scratch.write(([lines[0]] + kept.map { lines[$0 + 1] }).map { $0 + "\n" }.joined(), to: "journal.jsonl")
            reports = []
            expectEqual(try run(resume: true) { reports.append($0) }, expected)
            #expect(reports.first?.done == 2 * kept.count && reports.last?.done == 12, "\(kept)")
            #expect(try scratch.read("journal.jsonl").split(separator: "\n").count == 7)
        }
    }
}
