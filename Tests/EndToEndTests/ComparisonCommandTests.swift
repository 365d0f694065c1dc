import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// `compare` and `tasks` as their users run them.
@Suite struct ComparisonCommandTests {
    private let scratch: Scratch
    private static let everyone = [
        "dense", "sample", "paper", "paper-v3", "key-blocks", "tuned", "big-bird", "streaming-llm", "hyper-attention", "hash-sparse",
        "minference", "flex-prefill", "x-attention", "quest", "moba",
    ]

    init() throws { scratch = try Scratch() }

    /// `compare` on a tiny model of bytes, with a config for it.
    private func tiny(_ arguments: [String]) throws -> [String] {
        let (model, config) = try ConfigTests.tuned(in: scratch, positions: 2048)
        return ["compare", "--model", model.path, "--config", config, "--text", HaystackModel.texts[1].path] + arguments
    }

    @Test func comparesEverySystemAndWritesItsFiles() throws {
        let folder = scratch.file("out")
        let result = try Program.json(
            tiny([
                "--methods", "all,variants", "--length", "1200", "--length", "1600", "--count", "1", "--depth", "0.5", "--output", folder,
            ]))
        let rows = try #require(result["rows"] as? [[String: Any]])
        let methods = Self.everyone + ["key-norms", "low-rank", "pooled-queries", "shared-group", "shared-layers"]
        #expect(rows.count == methods.count * 3 * 2)
        #expect(rows.prefix(methods.count).compactMap { $0["method"] as? String } == methods)
        for row in rows {
            let density = try number(row, "density")
            #expect(density > 0 && density <= 1 && (row["method"] as? String != "dense" || density == 1))
            #expect(try number(row, "prefillSeconds") >= number(row, "attentionSeconds") && number(row, "speedUp") > 0)
            #expect(try (0...1).contains(number(row, "selectionShare")) && (0...1).contains(number(row, "meanMass")))
            #expect(try number(row, "nll") > 0 && (row["asked"] as? Int == 0) == (row["task"] as? String == "perplexity"))
        }
        let cells = try #require(result["cells"] as? [[String: Any]])
        #expect(cells.count == methods.count * 2 && cells.allSatisfy { $0["depth"] as? Double == 0.5 })
        let summaries = try #require(result["summaries"] as? [[String: Any]])
        #expect(summaries.count == methods.count * 2)
        for length in [1200, 1600] { #expect(summaries.contains { $0["length"] as? Int == length && $0["isOnFront"] as? Bool == true }) }

        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["comparison.csv", "comparison.json", "report.html"])
        let lines = try scratch.read("out/comparison.csv").components(separatedBy: "\r\n").dropLast()
        #expect(lines.count == rows.count + 1 && Set(lines.map { $0.components(separatedBy: ",").count }) == [18])
        let page = try scratch.read("out/report.html")
        for words in ["Accuracy against time", "Needles: needle-multi-key", "Time to first token", "streaming-llm"] {
            #expect(page.contains(words))
        }
    }

    /// Every system keeps what it is told; dense and tuned attention keep what they are.
    @Test func densitiesCanBeForced() throws {
        let result = try Program.json(
            tiny(["--methods", "all", "--density", "0.3", "--kind", "perplexity", "--length", "2048", "--count", "1"]))
        for row in try #require(result["rows"] as? [[String: Any]]) {
            let (method, density) = (try #require(row["method"] as? String), try number(row, "density"))
            switch method {
            case "dense": #expect(density == 1)
            case "tuned": #expect(density < 1 && density > 0.45, "as its config has it, whatever is asked")
            default: #expect(density > 0.15 && density < 0.45, "\(method): \(density)")
            }
        }
    }

    /// Decoding with dense attention looks up what a window has lost; in the prefill itself it is lost.
    @Test func answersAreScoredInThePrefillUnlessDecoded() throws {
        let command = [
            "compare", "--methods", "dense,streaming-llm", "--kind", "needle-single", "--length", "1024", "--count", "2", "--depth", "0.3",
        ]
        func scores(ofRows result: [String: Any]) throws -> [Double] {
            try #require(result["rows"] as? [[String: Any]]).map { try number($0, "score") }
        }
        #expect(try scores(ofRows: Program.json(command)) == [2, 0])
        #expect(try scores(ofRows: Program.json(command + ["--generate"])) == [2, 2])
        let dropped = ["--generate", "--evict", "streaming", "--cache-tokens", "64"]
        #expect(try scores(ofRows: Program.json(command + dropped)) == [0, 0])
    }

    @Test func continuesAStoppedComparison() throws {
        let folder = scratch.file("stopped")
        let command = try tiny([
            "--methods", "dense,sample,big-bird", "--kind", "interleaved", "--length", "2048", "--count", "4", "--isa", "scalar",
            "--threads",
            "1", "--output",
        ])
        func scores(_ result: [String: Any]) throws -> [[String]] {
            try #require(result["rows"] as? [[String: Any]]).map { row in
                try ["score", "nll", "density", "meanMass"].map { "\(try number(row, $0))" }
            }
        }
        let expected = try scores(Program.json(command + [scratch.file("whole")]))
        let running = try Program.start(command + [folder, "--json"])
        let journal = folder + "/journal.jsonl"
        func lines() -> Int { (try? String(contentsOfFile: journal, encoding: .utf8))?.split(separator: "\n").count ?? 0 }
        try #require(running.runs { lines() >= 4 }, "ended before it could be interrupted")
        running.send(SIGINT)
        let outcome = try running.wait()
        #expect(outcome.exitCode == 130 && outcome.errors.contains("Continue with the same command and --resume."))
        let kept = lines()
        #expect(kept >= 4 && kept < 13)
        let refused = try Program.run(command + [folder])
        #expect(refused.exitCode == 73 && refused.errors.contains("--resume"))
        let other = try Program.run(command + [folder, "--resume", "--density", "0.5"])
        #expect(other.exitCode == 78 && other.errors.contains("methods"))
        #expect(try scores(Program.json(command + [folder, "--resume"])) == expected)
        #expect(!FileManager.default.fileExists(atPath: journal))
    }

    /// A model that nobody tuned has no config.
    @Test func tunedAttentionNeedsAConfig() throws {
        let tiny = try TinyModel(scratch)
        let text = ["--text", HaystackModel.texts[1].path]
        try expect(
            .usage, naming: ["config", "--config"], ["generate", "--model", tiny.path, "--prompt", "a", "--attention", "tuned"])
        let outcome = try Program.run(
            ["compare", "--model", tiny.path, "--methods", "all", "--kind", "perplexity", "--length", "400", "--count", "1", "--json"]
                + text)
        #expect(outcome.exitCode == 0 && outcome.errors.contains("note: tuned attention is left out"), "\(outcome.errors)")
        #expect(try #require(outcome.json()["rows"] as? [[String: Any]]).count == Self.everyone.count - 1)
    }

    @Test func makesTasksOfEveryKind() throws {
        let lines = try Program.output(["tasks", "--kind", "all", "--length", "900"]).split(separator: "\n")
        let names = try lines.map { line in
            let row = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            return try #require(row["task"] as? String)
        }
        #expect(Set(names).count == 10 && lines.count == 2 * 5 + 8)
        let file = try scratch.write(lines.joined(separator: "\n"), to: "tasks.jsonl")
        let result = try Program.json(["evaluate", "--tasks", file])
        let rows = try #require(result["tasks"] as? [[String: Any]])
        #expect(Set(rows.compactMap { $0["task"] as? String }) == Set(names))
        #expect(try number(rows.first { $0["task"] as? String == "needle-single" }!, "score") == 5)
    }

    @Test(arguments: ["big-bird", "hash-sparse", "hyper-attention", "shared-layers", "paper-v3", "key-blocks", "quest", "moba"])
    func generatesWithAnySystem(name: String) throws {
        let prompt = try Program.output(["tasks", "--length", "600", "--prompt-only"])
        let result = try Program.json([
            "generate", "--prompt", prompt, "--max-tokens", "3", "--attention", name, "--chunk", "250", "--cache", "bf16", "--density",
            "0.5",
        ])
        #expect(result["chunk"] as? Int == 250 && (result["cache"] as? [String: Any])?["format"] as? String == "bf16")
        #expect((result["settings"] as? [String: Any])?["density"] as? Double == 0.5)
        #expect(result["attention"] as? String == name && (result["tokens"] as? [Int])?.isEmpty == false)
        #expect((result["certificate"] != nil) == !["hash-sparse", "hyper-attention", "moba"].contains(name))
    }
}
