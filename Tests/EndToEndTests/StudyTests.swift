import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// What a `tune` run leaves in its output folder.
enum Study {
    /// A machine that is made up, so that no test measures this one: pairs cost, the rest is free.
    static func latencyModel(_ scratch: Scratch, headDimension: Int) throws -> String {
        let free = [
            "heads", "laneBlocks", "distantRows", "loadedKeys", "tiles", "maskedTiles", "gatheredColumns", "summedPairs", "candidates",
            "certificates", "certifiedPairs",
        ]
        let pairs = ["densePairs": 1e-9, "windowPairs": 1e-9, "columnPairs": 1.2e-9, "blockPairs": 1e-9, "sampledPairs": 6e-10]
        let file: [String: Any] = [
            "schemaVersion": 1, "headDimension": headDimension, "meanAbsolutePercentageError": 0.05, "fitMeanAbsolutePercentageError": 0.04,
            "secondsPerUnit": pairs.merging(free.map { ($0, 0) }) { $1 },
            "crossovers": [
                ["setting": "window", "lengths": [128, 256], "denseSeconds": [1, 2], "sparseSeconds": [2, 1], "denseBelow": 256]
            ],
            "residuals": [Any](),
            "provenance": [
                "tool": ["version": "0", "commit": "0"], "machine": ["cpu": "none", "instructionSet": "scalar", "threads": 1],
                "seed": 1, "texts": [Any](), "lengths": [128, 256], "date": "2026-01-01T00:00:00Z",
            ],
        ]
        return try scratch.write(JSONSerialization.data(withJSONObject: file), to: "latency.json")
    }

    /// The config's lines but the date, the one thing in it that may differ between equal runs.
    static func config(_ folder: String) throws -> [Substring] {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: folder + "/config.json")), as: UTF8.self)
        let lines = text.split(separator: "\n")
        let kept = lines.filter { !$0.contains("\"date\" :") }
        try #require(kept.count == lines.count - 1)
        return kept
    }

    /// The journal's records without the seconds that checks took.
    static func records(_ folder: String) throws -> [NSDictionary] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/journal.jsonl"))
        return try data.split(separator: UInt8(ascii: "\n")).dropFirst().map { line in
            var record = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            if var check = record["check"] as? [String: Any] {
                check["prefillSeconds"] = nil
                check["attentionSeconds"] = nil
                record["check"] = check
            }
            return record as NSDictionary
        }
    }

    static func journalLines(_ folder: String) -> Int {
        FileManager.default.contents(atPath: folder + "/journal.jsonl")?.count { $0 == UInt8(ascii: "\n") } ?? 0
    }
}

/// `tune`: files, determinism, and what interruptions leave.
@Suite struct StudyTests {
    private let scratch: Scratch
    private let latency: [String]

    init() throws {
        scratch = try Scratch()
        latency = ["--latency-model", try Study.latencyModel(scratch, headDimension: 64), "--force"]
    }

    @Test func writesConfigJournalAndReport() throws {
        let folder = scratch.file("study")
        let result = try Program.json(["tune", "--length", "512", "--trials", "3", "--output", folder] + latency)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["config.json", "journal.jsonl", "report.html"])
        #expect(result["trials"] as? Int == 8 * 6 * 3)
        #expect(
            result["seconds"] is Double && (result["latencyModel"] as? [String: Any])?["meanAbsolutePercentageError"] as? Double == 0.05)
        let heldOut = try #require(result["heldOut"] as? [[String: Any]])
        #expect(heldOut.compactMap { $0["kind"] as? String } == Array(repeating: "plain", count: 4) + ["woven", "woven"])
        let trials = try Study.records(folder).compactMap { $0["trial"] as? [String: Any] }
        let places = try trials.map { trial in try ["layer", "head", "number"].map { try #require(trial[$0] as? Int) } }
        #expect(Set(places).count == 8 * 6 * 3)
        #expect(try scratch.read("study/report.html").hasPrefix("<!DOCTYPE html>"))

        let check = try Program.json(["config", "check", folder + "/config.json"])
        #expect(check["valid"] as? Bool == true && check["lengths"] as? [Int] == [512])
        #expect(try Study.config(folder).contains { $0.contains("\"denseBelow\" : 256") })

        // The config decides how generation attends.
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        let prompt = try scratch.write(String(text.dropFirst(5000).prefix(2000)), to: "prompt.txt")
        let generation = try Program.json(["generate", "--config", folder + "/config.json", "--prompt-file", prompt, "--max-tokens", "4"])
        #expect(generation["attention"] as? String == "tuned")
        let density = try #require(generation["density"] as? Double)
        #expect(density > 0 && density < 1)
    }

    /// Text that the config was not tuned on decides: windows are enough for a text that repeats itself, and not for a book.
    @Test func aConfigThatDoesNotHoldIsNotWritten() throws {
        let lines = Array(repeating: "one two three four five six seven eight nine ten eleven twelve", count: 400)
        let text = try scratch.write(lines.joined(separator: "\n"), to: "repeats.txt")
        let folder = scratch.file("strict")
        let arguments = [
            "tune", "--length", "512", "--trials", "6", "--text", text, "--text", HaystackModel.texts[1].path, "--floor-nll", "0.02",
            latency[0], latency[1], "--output", folder,
        ]
        let outcome = try Program.run(arguments + ["--json"])
        #expect(outcome.exitCode == Refusal.configuration.rawValue)
        #expect(outcome.errors.hasPrefix("error: \(folder)/config.json: held-out check: 512 tokens: loss "), "\(outcome.errors)")
        #expect(try outcome.json()["holds"] as? Bool == false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["journal.jsonl", "report.html"])
        #expect(try Program.json(arguments + ["--resume", "--force"])["holds"] as? Bool == false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
    }

    /// A budget of time instead of a floor: what is predicted stays within it.
    @Test func aBudgetIsKept() throws {
        let result = try Program.json(
            ["tune", "--length", "512", "--trials", "4", "--budget-ms", "4", latency[0], latency[1], "--output", scratch.file("budget")])
        let steps = try #require(result["steps"] as? [[String: Any]])
        #expect(try steps.count == 1 && number(steps[0], "milliseconds") <= 4 && number(steps[0], "milliseconds") > 3)
        #expect(result["holds"] as? Bool == true, "a budget has no floor to miss")
        let refused = try Program.run([
            "tune", "--length", "512", "--trials", "4", "--budget-ms", "0.001", latency[0], latency[1], "--output", scratch.file("none"),
        ])
        #expect(refused.exitCode == Refusal.configuration.rawValue)
        #expect(refused.errors.contains("budget-ms: 512 tokens: the least found is"), "\(refused.errors)")
    }

    @Test func givesTheSameConfigForTheSameSeed() throws {
        for (folder, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
            try Program.output(["tune", "--length", "512", "--trials", "9", "--seed", seed, "--output", scratch.file(folder)] + latency)
        }
        #expect(try Study.config(scratch.file("a")) == Study.config(scratch.file("b")))
        #expect(try Study.records(scratch.file("a")) == Study.records(scratch.file("b")))
        // Another seed tries other parameters beyond the ladder of windows.
        let trials = try ["a", "c"].map { try Study.records(scratch.file($0)).compactMap { $0["trial"] as? NSDictionary } }
        #expect(trials[0].count > 100 && trials[0] != trials[1])
    }

    /// Stopped politely, killed in the middle, and killed with half a line written: each continues to the same config.
    @Test func continuesAStoppedStudy() throws {
        let command = ["tune", "--length", "512", "--trials", "10"] + latency + ["--output"]
        try Program.output(command + [scratch.file("whole")])
        let expected = try Study.config(scratch.file("whole"))

        let stopped = scratch.file("stopped")
        for signal in [SIGINT, SIGTERM] {
            let resume = signal == SIGINT ? [] : ["--resume"]
            let outcome = try interrupt(command + [stopped] + resume, in: stopped, with: signal)
            #expect(outcome.exitCode == 128 + signal)
            #expect(outcome.errors == "stopped; \(stopped)/journal.jsonl is whole. Continue with the same command and --resume.\n")
            #expect(outcome.output.isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: stopped) == ["journal.jsonl"])
            #expect(try scratch.read("stopped/journal.jsonl").hasSuffix("}\n"))
        }
        try Program.output(command + [stopped, "--resume"])
        #expect(try Study.config(stopped) == expected)
        #expect(try Study.records(stopped) == Study.records(scratch.file("whole")))

        let killed = scratch.file("killed")
        let outcome = try interrupt(command + [killed], in: killed, with: SIGKILL)
        #expect(outcome.exitCode == 128 + SIGKILL)
        let journal = try Data(contentsOf: URL(fileURLWithPath: killed + "/journal.jsonl"))
        let lastLine = try #require(journal.dropLast().lastIndex(of: UInt8(ascii: "\n")))
        try scratch.write(journal[..<(lastLine + (journal.endIndex - lastLine) / 2)], to: "killed/journal.jsonl")
        try Program.output(command + [killed, "--resume"])
        #expect(try Study.config(killed) == expected)
        #expect(try Study.records(killed) == Study.records(scratch.file("whole")))
    }

    /// A study ends with the latency model it was begun with, and with the earlier config it was begun with.
    @Test func keepsItsLatencyModelAndItsBeginning() throws {
        let command = ["tune", "--length", "512", "--trials", "3"] + latency + ["--output", scratch.file("costs")]
        try Program.output(command)
        let config = scratch.file("costs/config.json")
        let expected = try Study.config(scratch.file("costs"))
        // Another machine's costs on the command line change nothing.
        var model = try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: latency[1]))) as? [String: Any])
        var costs = try #require(model["secondsPerUnit"] as? [String: Double])
        costs["densePairs"] = 1e-6
        model["secondsPerUnit"] = costs
        let other = try scratch.write(JSONSerialization.data(withJSONObject: model), to: "other.json")
        try Program.output(
            [
                "tune", "--length", "512", "--trials", "3", "--latency-model", other, "--force", "--output", scratch.file("costs"),
                "--resume",
            ])
        #expect(try Study.config(scratch.file("costs")) == expected)
        let refused = try Program.run(command + ["--resume", "--warm-start", config])
        #expect(refused.exitCode == Refusal.configuration.rawValue && refused.errors.contains("warmStartSHA256"), "\(refused.errors)")
    }

    /// Every head is measured on text it was not tuned on, and held to the floor of mass there.
    @Test func headsAreCheckedOnOtherText() throws {
        let result = try Program.json(
            ["tune", "--length", "512", "--trials", "8", "--floor-mass", "0.9", "--floor-tail", "2", "--output", scratch.file("mass")]
                + latency)
        let heads = try #require(result["heads"] as? [[String: Any]])
        #expect(heads.count == 48)
        let buckets = try #require((result["config"] as? [String: Any])?["buckets"] as? [[String: Any]])
        let patterns = try #require(buckets.first?["layers"] as? [[[String: Any]]])
            .map { try $0.map { try #require(($0["parameters"] as? [String: Any])?["pattern"] as? String) } }
        for head in heads {
            let (tuned, heldOut) = (try #require(head["tuned"] as? [String: Any]), try #require(head["heldOut"] as? [String: Any]))
            #expect(try number(tuned, "meanMass") >= 0.9 && number(heldOut, "meanMass") > 0.5 && number(heldOut, "minMass") >= 0)
            // Dense heads and windows keep the same pairs of any text.
            guard let layer = head["layer"] as? Int, let index = head["head"] as? Int, patterns[layer][index] != "stripe-window",
                patterns[layer][index] != "column-slash"
            else { continue }
            #expect(try number(tuned, "density") == number(heldOut, "density"))
        }
        #expect(heads.contains { $0["tuned"] as? NSDictionary != $0["heldOut"] as? NSDictionary })
        let held = try heads.allSatisfy { try number(#require($0["heldOut"] as? [String: Any]), "meanMass") >= 0.9 }
        #expect(held || result["holds"] as? Bool == false)
        #expect(try scratch.read("mass/report.html").contains("99th percentile of KL at most 2"))
    }

    /// Time that runs out is said, on the terminal and in the report.
    @Test func saysThatTimeRanOut() throws {
        let text = try Program.output(
            ["tune", "--length", "512", "--minutes", "0.001", "--output", scratch.file("short")] + latency)
        #expect(text.hasPrefix("Time ran out"), "\(text.prefix(200))")
        #expect(text.contains("Nothing faster than dense attention was found"))
        #expect(try scratch.read("short/report.html").contains("Time ran out"))
    }

    /// An earlier config's parameters are tried first.
    @Test func startsFromAnEarlierConfig() throws {
        try Program.output(["tune", "--length", "512", "--trials", "9", "--output", scratch.file("first")] + latency)
        let config = scratch.file("first/config.json")
        try Program.output(
            ["tune", "--length", "512", "--trials", "1", "--warm-start", config, "--output", scratch.file("second")] + latency)
        let tried = try Study.records(scratch.file("second")).compactMap { $0["trial"] as? [String: Any] }
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(try scratch.read("first/config.json").utf8)) as? [String: Any])
        let bucket = try #require((object["buckets"] as? [[String: Any]])?.first?["layers"] as? [[[String: Any]]])
        for (layer, heads) in bucket.enumerated() {
            for (head, entry) in heads.enumerated() {
                let parameters = try #require(entry["parameters"] as? NSDictionary)
                guard parameters["pattern"] as? String != "dense" else { continue }
                #expect(
                    tried.contains {
                        $0["layer"] as? Int == layer && $0["head"] as? Int == head && $0["parameters"] as? NSDictionary == parameters
                    })
            }
        }
    }

    /// Starts, waits for some records beyond those already there, sends the signal, and expects the end within a second.
    private func interrupt(_ arguments: [String], in folder: String, with signal: Int32) throws -> Program.Outcome {
        let before = Study.journalLines(folder)
        let program = try RunningProgram(Program.path, arguments)
        let deadline = ContinuousClock.now + .seconds(30)
        while Study.journalLines(folder) < before + 40, program.isRunning, ContinuousClock.now < deadline { usleep(2000) }
        try #require(program.isRunning, "ended before it could be interrupted")
        let sent = ContinuousClock.now
        program.send(signal)
        let outcome = try program.wait()
        #expect(ContinuousClock.now - sent < .seconds(1))
        return outcome
    }

    /// One forward pass over 16,384 tokens takes far longer than a second; Ctrl-C does not wait for it.
    @Test func stopsWithinASecondInTheMiddleOfALongPrompt() throws {
        let folder = scratch.file("long")
        let program = try RunningProgram(
            Program.path, ["tune", "--length", "16384", "--trials", "4", "--output", folder] + latency)
        let deadline = ContinuousClock.now + .seconds(30)
        while Study.journalLines(folder) < 1, program.isRunning, ContinuousClock.now < deadline { usleep(2000) }
        usleep(300_000)
        try #require(program.isRunning)
        let sent = ContinuousClock.now
        program.send(SIGINT)
        let outcome = try program.wait()
        #expect(ContinuousClock.now - sent < .seconds(1))
        #expect(outcome.exitCode == 128 + SIGINT)
        #expect(outcome.errors.contains("--resume"))
    }
}

/// What a study cannot do is said before the machine is calibrated, and leaves nothing behind.
@Suite struct EarlyStudyRefusalTests {
    @Test func aLengthWithoutRoomForQuestions() throws {
        let model = try TinyModel(Scratch())
        let text = try model.writeText(characters: 6000)
        try expect(
            .usage, naming: ["length: 256", "too short for a fact and a question"], leaving: model.scratch,
            ["tune", "--model", model.path, "--text", text, "--length", "256", "--output", model.scratch.file("out")])
    }

    @Test func aJournalWithRecords() throws {
        let model = try TinyModel(Scratch())
        let text = try model.writeText(characters: 6000)
        let command = ["tune", "--model", model.path, "--text", text, "--length", "320", "--trials", "2", "--force"]
        let out = model.scratch.file("out")
        try Program.output(command + ["--latency-model", Study.latencyModel(model.scratch, headDimension: 8), "--output", out])
        try expect(.cannotCreate, naming: ["out/journal.jsonl", "--resume"], leaving: model.scratch, command + ["--output", out])
    }

    /// No answer may be lost, and the first allocation loses some: that is a miss, not a share of nothing.
    @Test func aFloorThatLetsNothingGo() throws {
        let model = try TinyModel(Scratch())
        let result = try Program.json([
            "tune", "--model", model.path, "--text", try model.writeText(characters: 6000), "--length", "320", "--trials", "3", "--force",
            "--floor-answers", "1", "--floor-agreement", "1", "--floor-nll", "1e-300", "--latency-model",
            try Study.latencyModel(model.scratch, headDimension: 8), "--output", model.scratch.file("out"),
        ])
        #expect(!"\(result)".contains("Infinity") && !"\(result)".contains("NaN"))
    }
}

/// Journals that must not be continued.
@Suite struct JournalRefusalTests {
    private let model: TinyModel
    private let command: [String]
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch())
        command = [
            "tune", "--model", model.path, "--text", try model.writeText(characters: 6000), "--length", "320", "--trials", "3", "--force",
            "--latency-model",
            try Study.latencyModel(model.scratch, headDimension: 8), "--output", model.scratch.file("out"),
        ]
        try Program.output(command)
    }

    @Test func refusesToOverwriteAJournal() throws {
        try expect(.cannotCreate, naming: ["out/journal.jsonl", "--resume"], leaving: scratch, command)
    }

    @Test func refusesTheJournalOfAnotherStudy() throws {
        let resume = command + ["--resume"]
        try expect(
            .configuration, naming: ["out/journal.jsonl", "line 1, seed: 1: must be 2"], leaving: scratch, resume + ["--seed", "2"])
        try expect(.configuration, naming: ["line 1, trials: 3: must be 5"], leaving: scratch, resume + ["--trials", "5"])
        try expect(.configuration, naming: ["line 1, floor"], leaving: scratch, resume + ["--floor-nll", "0.5"])
        model.tensors[0].values[0] += 1
        try model.write()
        try expect(.configuration, naming: ["line 1, model"], leaving: scratch, resume)
    }

    @Test func refusesTheJournalOfAnotherText() throws {
        _ = try model.writeText(characters: 7000)
        try expect(.configuration, naming: ["line 1, textSHA256"], leaving: scratch, command + ["--resume"])
    }

    /// Line 1 is the header, line 2 the first trial.
    @Test(arguments: [
        ("nonsense", 1, "line 1: must be the header of such a journal"), ("nonsense", 2, "line 2: must be a record of this journal"),
        ("{}", 4, "line 4: must be one trial, probe or check"),
    ])
    func refusesABrokenJournal(replacement: String, line: Int, message: String) throws {
        var lines = try scratch.read("out/journal.jsonl").split(separator: "\n").map(String.init)
        lines[line - 1] = replacement
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "out/journal.jsonl")
        try expect(.invalidData, naming: ["out/journal.jsonl: \(message)"], leaving: scratch, command + ["--resume"])
    }

    /// Records of heads that are not there, and numbers that nothing measures.
    @Test(arguments: [
        ("\"layer\":0", "\"layer\":7", "line 2: layer 7, head 0 must be one of the model's"),
        ("\"density\":", "\"density\":1", "line 2: shares must be from 0 to 1"),
        ("\"milliseconds\":", "\"milliseconds\":-", "line 2: outputError and milliseconds must not be negative"),
    ])
    func refusesAnImplausibleRecord(found: String, replacement: String, message: String) throws {
        var lines = try scratch.read("out/journal.jsonl").split(separator: "\n").map(String.init)
        lines[1] = lines[1].replacingOccurrences(of: found, with: replacement)
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "out/journal.jsonl")
        try expect(.invalidData, naming: ["out/journal.jsonl: \(message)"], leaving: scratch, command + ["--resume"])
    }

    @Test func continuesAFinishedStudyWithoutMeasuringAgain() throws {
        let before = try scratch.read("out/journal.jsonl")
        let config = try Study.config(scratch.file("out"))
        try Program.output(command + ["--resume"])
        #expect(try scratch.read("out/journal.jsonl") == before)
        #expect(try Study.config(scratch.file("out")) == config)
    }

    /// Another length adds to the journal; the first one's measurements serve again.
    @Test func addsALengthToAStudy() throws {
        let before = Study.journalLines(scratch.file("out"))
        let result = try Program.json(command + ["--resume", "--length", "400"])
        let lengths = try #require((result["config"] as? [String: Any])?["buckets"] as? [[String: Any]]).compactMap { $0["length"] as? Int }
        #expect(lengths == [320, 400])
        #expect(
            try Study.records(scratch.file("out")).prefix(before - 1).count == before - 1
                && Study.journalLines(scratch.file("out")) > before)
    }
}
