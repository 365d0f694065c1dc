import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// `profile`, `audit` and `capture` as their users run them.
@Suite struct ProfileTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// The profile without what depends on the run.
    private static func heads(_ result: [String: Any]) throws -> [NSDictionary] {
        let profiles = try #require(result["profiles"] as? [[String: Any]])
        return profiles.flatMap { ($0["heads"] as? [NSDictionary] ?? []) + ($0["overlaps"] as? [NSDictionary] ?? []) }
    }

    /// What must hold of every head whatever the model: finite, ordered, and structure never sparser than the optimum.
    @Test func numbersAreOrdered() throws {
        let result = try Program.json(["profile", "--length", "300", "--length", "700"])
        let scale = try #require(result["scale"] as? [String: Any])
        #expect(scale["alphas"] as? [Double] == [0.9, 0.95, 0.99])
        let profiles = try #require(result["profiles"] as? [[String: Any]])
        #expect(profiles.compactMap { $0["length"] as? Int } == [300, 700])
        for head in try profiles.flatMap({ try #require($0["heads"] as? [[String: Any]]) }) {
            let degrees = try #require(head["sparsityDegrees"] as? [Double])
            #expect(degrees[0] >= degrees[1] && degrees[1] >= degrees[2] && degrees[2] >= 0 && degrees[0] < 1)
            for family in ["windowColumns", "columnsSlashes", "keyBlocks"] {
                let structured = try #require(head["structured"] as? [[String: [String: Any]]])
                for (degree, structured) in zip(degrees, structured) {
                    #expect(try #require(structured[family]?["degree"] as? Double) <= degree)
                }
            }
            let retained = try #require(head["retained"] as? [String: Any])
            let masses = ["min", "p1", "p5", "median"].compactMap { retained[$0] as? Double }
            #expect(masses.count == 4 && zip(masses, masses.dropFirst()).allSatisfy { $0 <= $1 })
            let error = try #require(head["outputError"] as? [String: Double])
            // The kernel's FP32 rounding is part of the largest distance.
            #expect(error["largest"]! <= error["bound"]! + 1e-4 * error["radius"]!)
            #expect(error["diameter"]! <= 2 * error["radius"]!)
        }
    }

    @Test func comparesColumnsBetweenHeadsLayersAndPrompts() throws {
        let result = try Program.json([
            "profile", "--length", "600", "--text", HaystackModel.texts[0].path, "--text", HaystackModel.texts[1].path, "--sinks", "4",
        ])
        let profiles = try #require(result["profiles"] as? [[String: Any]])
        #expect(profiles.count == 2)
        for (index, profile) in profiles.enumerated() {
            let overlaps = try #require(profile["overlaps"] as? [[String: Any]])
            #expect(overlaps.count == 8)
            for (layer, overlap) in overlaps.enumerated() {
                #expect((overlap["previousLayer"] != nil) == (layer > 0))
                #expect((overlap["otherPrompt"] != nil) == (index > 0))
                let group = try #require(overlap["withinGroup"] as? [String: Double])
                // Four sinks are in every head's columns.
                #expect(group["jaccard"]! > group["chance"]! && group["jaccard"]! <= 1)
                #expect(group["sharedMass"]! <= 1 && group["ownMass"]! <= 1)
            }
        }
    }

    /// Stopped politely and killed; the continued profile has the numbers of an uninterrupted one.
    @Test func continuesAStoppedProfile() throws {
        let model = try TinyModel(scratch, shape: .init(layers: 8, positions: 1024))
        let command = [
            "profile", "--model", model.path, "--text", try model.writeText(), "--length", "1024", "--length", "700", "--isa", "scalar",
            "--threads", "1", "--output",
        ]
        let expected = try Self.heads(Program.json(command + [scratch.file("whole")]))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("whole")).sorted() == ["profile.json", "report.html"])
        for signal in [SIGINT, SIGKILL] {
            let folder = scratch.file("stopped-\(signal)")
            let program = try Program.start(command + [folder])
            try #require(program.runs { Study.journalLines(folder) >= 5 }, "ended before it could be interrupted")
            program.send(signal)
            let outcome = try program.wait()
            #expect(outcome.exitCode == 128 + signal)
            if signal == SIGINT {
                #expect(outcome.errors == "stopped; \(folder)/journal.jsonl is whole. Continue with the same command and --resume.\n")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["journal.jsonl"])
            let refused = try Program.run(command + [folder])
            #expect(refused.exitCode == 73 && refused.errors.contains("--resume"))
            let other = try Program.run(command + [folder, "--alpha", "0.9", "--resume"])
            #expect(other.exitCode == 78 && other.errors.contains("attention"))
            #expect(try Self.heads(Program.json(command + [folder, "--resume"])) == expected)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["profile.json", "report.html"])
        }
    }

    @Test func resumeNeedsAFolder() throws {
        let outcome = try Program.run(["profile", "--length", "64", "--resume"])
        #expect(outcome.exitCode == 64 && outcome.errors.contains("resume: needs the --output folder"))
    }

    @Test func aFinishedProfileHasNothingToContinue() throws {
        let command = ["profile", "--length", "64", "--output", scratch.file("out")]
        try Program.output(command)
        try expect(.usage, naming: [scratch.file("out"), "resume: there is nothing to continue"], leaving: scratch, command + ["--resume"])
        try expect(
            .usage, naming: ["there is nothing to continue"], leaving: scratch, ["profile", "--output", scratch.file("no"), "--resume"])
    }

    /// Standard output is a pipe that nobody reads, so the program stands still after its files are written.
    @Test func aSignalAfterTheWorkIsNotAnInterruption() throws {
        let pipe = scratch.file("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        let folder = scratch.file("out")
        let program = try RunningProgram(shell: "exec \"$program\" profile --length 64 --json --output '\(folder)' > '\(pipe)'")
        func isDone() -> Bool {
            FileManager.default.fileExists(atPath: folder + "/report.html")
                && !FileManager.default.fileExists(atPath: folder + "/journal.jsonl")
        }
        try #require(program.runs(until: isDone))
        program.send(SIGINT)
        let outcome = try program.wait()
        #expect(outcome.exitCode == 128 + SIGINT && outcome.errors.isEmpty, "\(outcome.errors)")
    }

    /// Stripes are told by their columns and window, blocks by their lines, and a dense head has neither; nothing is said to be
    /// served worst where nothing is lost.
    @Test func theReportSaysWhatEachPatternIs() throws {
        func report(_ options: [String]) throws -> String {
            let folder = UUID().uuidString
            try Program.output(["profile", "--length", "512", "--output", scratch.file(folder)] + options)
            return try scratch.read("\(folder)/report.html")
        }
        let stripes = try report(["--alpha", "0.8"])
        #expect(stripes.contains("columns selected for α = 0.8 of the sampled rows") && stripes.contains("Window of 41 tokens"))
        #expect(stripes.contains("serves some query worst") && stripes.contains("the largest structure gap"))
        #expect(stripes.contains("Structured SD(0.95) by family, mean query") && stripes.contains("key blocks"))
        let blocks = try report(["--head-pattern", "column-slash"])
        #expect(blocks.contains(" of 128-token blocks</span>") && !blocks.contains("columns selected"))
        #expect(!blocks.contains("Window of") && !blocks.contains("Importance of the key columns"))
        #expect(blocks.contains("the largest structure gap"), "blocks have one too, without a column")
        let dense = try report(["--attention", "dense"])
        #expect(dense.contains("All columns are kept") && dense.contains("No window") && !dense.contains("serves some query worst"))
    }

    @Test func theFileHasASchemaVersion() throws {
        #expect(try Program.json(["profile", "--length", "64"])["schemaVersion"] as? Int == 2)
    }

    @Test func auditComparesRules() throws {
        let result = try Program.json(["audit", "--length", "700", "--ratio", "1", "--ratio", "0.02"])
        let lengths = try #require(result["lengths"] as? [[String: Any]])
        let rules = try #require(lengths.first?["rules"] as? [[String: Any]])
        #expect(rules.compactMap { $0["sampling"] as? String } == ["stride", "tail-blocks", "last-rows", "random"].flatMap { [$0, $0] })
        for rule in rules {
            let least = try #require(rule["least"] as? Double)
            #expect(try least <= #require(rule["p1"] as? Double))
            // All rows sampled: what the selection saw is what it keeps.
            if rule["ratio"] as? Double == 1 {
                #expect(abs(try #require(rule["optimism"] as? Double)) < 1e-5 && least > -1e-5)
            } else {
                #expect(try #require(rule["missed"] as? Double) > 0)
            }
        }
        let refused = try Program.run(["audit", "--rule", "often"])
        #expect(refused.exitCode == 64 && refused.errors.contains("rule: often: must be"))
    }

    /// Predictions from gradients against the model's own answers: head 7.4 looks things up, and a window costs it most.
    @Test func sensitivityPredictsWhatIsMeasured() throws {
        let window = ["--head-pattern", "window", "--window-tokens", "64", "--sinks", "8"]
        let result = try Program.json(["sensitivity", "--length", "400", "--draws", "4", "--probes", "24"] + window)
        let length = try #require((result["lengths"] as? [[String: Any]])?.first)
        let agreement = try #require(length["agreement"] as? [String: Any])
        #expect(try #require(agreement["correlation"] as? Double) > 0.97 && #require(agreement["worstTenFound"] as? Int) >= 8)
        #expect(try (0.8..<1.6).contains(#require(agreement["ratioMedian"] as? Double)))
        let heads = try #require(length["heads"] as? [[String: Any]])
        #expect(heads.count == 48 && heads.count { $0["measuredDivergence"] as? Double != nil } == 24)
        let worst = try #require(heads.max { ($0["predictedDivergence"] as! Double) < ($1["predictedDivergence"] as! Double) })
        #expect(worst["measuredDivergence"] as? Double != nil)
        let text = try Program.output(["sensitivity", "--length", "100", "--draws", "1", "--top", "5"] + window)
        #expect(text.contains("and 43 heads that cost less") && !text.contains("Measured"))
    }

    /// The file's tensors stand where its header says, in the order of its axes.
    @Test func captureWritesTensors() throws {
        let file = scratch.file("heads.safetensors")
        try Program.output(["capture", "--length", "130", "--layer", "7", "--layer", "2", "--output", file])
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let header = try #require(JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: [String: Any]])
        #expect(length % 8 == 0)
        #expect(
            header.keys.sorted() == ["__metadata__"]
                + [2, 7].flatMap { layer in ["key", "query", "value"].map { "layers.\(layer).\($0)" } })
        let query = try #require(header["layers.7.query"])
        #expect(query["dtype"] as? String == "F32" && query["shape"] as? [Int] == [130, 6, 64])
        let ends = header.values.compactMap { ($0["data_offsets"] as? [Int])?[1] }
        #expect(ends.max() == data.count - 8 - length)
        let refused = try Program.run(["capture", "--length", "64", "--layer", "8", "--output", file])
        #expect(refused.exitCode == 64 && refused.errors.contains("layer: 8: must be from 0 to 7"))
        let two = try Program.run(["capture", "--length", "64", "--length", "65", "--output", file])
        #expect(two.exitCode == 64)
    }
}
