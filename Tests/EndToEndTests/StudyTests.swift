import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// What a `tune` run leaves in its output folder.
enum Study {
    /// The config's lines but the date, the one thing in it that may differ between equal runs.
    static func config(_ folder: String) throws -> [Substring] {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: folder + "/config.json")), as: UTF8.self)
        let lines = text.split(separator: "\n")
        let kept = lines.filter { !$0.contains("\"date\" :") }
        try #require(kept.count == lines.count - 1)
        return kept
    }

    /// The (layer, head, number) of every trial in the journal.
    static func trials(_ folder: String) throws -> [[Int]] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/journal.jsonl"))
        return try data.split(separator: UInt8(ascii: "\n")).dropFirst().map { line in
            let trial = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            return try ["layer", "head", "number"].map { try #require(trial[$0] as? Int) }
        }
    }

    static func journalLines(_ folder: String) -> Int {
        FileManager.default.contents(atPath: folder + "/journal.jsonl")?.count { $0 == UInt8(ascii: "\n") } ?? 0
    }
}

/// `tune`: files, determinism, and what interruptions leave.
@Suite struct StudyTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func writesConfigJournalAndReport() throws {
        let folder = scratch.file("study")
        let result = try Program.json(["tune", "--length", "256", "--trials", "3", "--dense-below", "128", "--output", folder])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["config.json", "journal.jsonl", "report.html"])
        #expect(result["trials"] as? Int == 8 * 6 * 3)
        #expect(result["seconds"] is Double && result["heldOut"] is [[String: Any]])
        #expect(try Set(Study.trials(folder)).count == 8 * 6 * 3)
        #expect(try scratch.read("study/report.html").hasPrefix("<!DOCTYPE html>"))

        let check = try Program.json(["config", "check", folder + "/config.json"])
        #expect(check["valid"] as? Bool == true && check["lengths"] as? [Int] == [256])

        // The config decides how generation attends.
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        let prompt = try scratch.write(String(text.dropFirst(5000).prefix(2000)), to: "prompt.txt")
        let generation = try Program.json(["generate", "--config", folder + "/config.json", "--prompt-file", prompt, "--max-tokens", "4"])
        #expect(generation["attention"] as? String == "tuned")
        let density = try #require(generation["density"] as? Double)
        #expect(density > 0 && density < 1)
        #expect(try #require(generation["promptTokens"] as? Int) > 256)
    }

    /// A config tuned below the usual threshold is used where it was tuned.
    @Test func shortLengthsAreNotLeftDense() throws {
        let folder = scratch.file("short")
        try Program.output(["tune", "--length", "200", "--trials", "2", "--output", folder])
        #expect(try Study.config(folder).contains { $0.contains("\"denseBelow\" : 200") })
    }

    @Test func givesTheSameConfigForTheSameSeed() throws {
        for (folder, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
            try Program.output(["tune", "--length", "256", "--trials", "4", "--seed", seed, "--output", scratch.file(folder)])
        }
        #expect(try Study.config(scratch.file("a")) == Study.config(scratch.file("b")))
        #expect(try scratch.read("a/journal.jsonl") == scratch.read("b/journal.jsonl"))
        // Beyond the header, which names the seed: another seed tries other parameters.
        let trials = try ["a", "c"].map { try scratch.read("\($0)/journal.jsonl").split(separator: "\n").dropFirst() }
        #expect(trials[0].count == trials[1].count && trials[0] != trials[1])
    }

    /// Stopped politely, killed in the middle, and killed with half a line written: each continues to the same config.
    @Test func continuesAStoppedStudy() throws {
        let command = ["tune", "--length", "512", "--trials", "16", "--output"]
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
            #expect(try Study.trials(stopped).count % 6 == 0)
        }
        try Program.output(command + [stopped, "--resume"])
        #expect(try Study.config(stopped) == expected)
        #expect(try scratch.read("stopped/journal.jsonl") == scratch.read("whole/journal.jsonl"))

        let killed = scratch.file("killed")
        let outcome = try interrupt(command + [killed], in: killed, with: SIGKILL)
        #expect(outcome.exitCode == 128 + SIGKILL)
        let journal = try Data(contentsOf: URL(fileURLWithPath: killed + "/journal.jsonl"))
        let lastLine = try #require(journal.dropLast().lastIndex(of: UInt8(ascii: "\n")))
        try scratch.write(journal[..<(lastLine + (journal.endIndex - lastLine) / 2)], to: "killed/journal.jsonl")
        try Program.output(command + [killed, "--resume"])
        #expect(try Study.config(killed) == expected)
        #expect(try scratch.read("killed/journal.jsonl") == scratch.read("whole/journal.jsonl"))
    }

    /// Starts, waits for some trials beyond those already there, sends the signal, and expects the end within a second.
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
        let program = try RunningProgram(Program.path, ["tune", "--length", "16384", "--trials", "4", "--output", folder])
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

/// Journals that must not be continued.
@Suite struct JournalRefusalTests {
    private let model: TinyModel
    private let command: [String]
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch())
        command = [
            "tune", "--model", model.path, "--text", try model.writeText(), "--length", "64", "--trials", "3", "--output",
            model.scratch.file("out"),
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
        try expect(.configuration, naming: ["line 1, trialsPerHead: 3: must be 5"], leaving: scratch, resume + ["--trials", "5"])
        model.tensors[0].values[0] += 1
        try model.write()
        try expect(.configuration, naming: ["line 1, model"], leaving: scratch, resume)
    }

    @Test func refusesTheJournalOfAnotherText() throws {
        _ = try model.writeText(characters: 3000)
        try expect(.configuration, naming: ["line 1, textSHA256"], leaving: scratch, command + ["--resume"])
    }

    /// Line 1 is the header; with two heads, lines 2 and 3 are the first trial.
    @Test(arguments: [
        ("nonsense", 1, "line 1: must be the header of such a journal"), ("nonsense", 2, "line 2: must be a record of this journal"),
        ("{}", 4, "line 4: must be a record of this journal"),
        (nil, 2, "line 2: trial 0 of layer 0, head 1"), (nil, 4, "line 4: trial 1 of layer 0, head 1"),
    ])
    func refusesABrokenJournal(replacement: String?, line: Int, message: String) throws {
        var lines = try scratch.read("out/journal.jsonl").split(separator: "\n").map(String.init)
        if let replacement { lines[line - 1] = replacement } else { lines.remove(at: line - 1) }
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "out/journal.jsonl")
        try expect(.invalidData, naming: ["out/journal.jsonl: \(message)"], leaving: scratch, command + ["--resume"])
    }

    /// Trials told twice would otherwise count as others that were never measured.
    @Test func refusesAJournalThatRepeatsItself() throws {
        let lines = try scratch.read("out/journal.jsonl").split(separator: "\n")
        try scratch.write((lines + lines.dropFirst()).joined(separator: "\n") + "\n", to: "out/journal.jsonl")
        try expect(.invalidData, naming: ["line 8: trial 0 of layer 0, head 0"], leaving: scratch, command + ["--resume"])
    }

    @Test func continuesAFinishedStudyWithoutNewTrials() throws {
        let before = try scratch.read("out/journal.jsonl")
        let config = try Study.config(scratch.file("out"))
        try Program.output(command + ["--resume"])
        #expect(try scratch.read("out/journal.jsonl") == before)
        #expect(try Study.config(scratch.file("out")) == config)
    }

    /// A second length adds to the journal; the first one's trials are not counted as the second's.
    @Test func addsALengthToAStudy() throws {
        let result = try Program.json(command + ["--resume", "--length", "96"])
        #expect(result["trials"] as? Int == 2 * 2 * 3)
        let again = try Program.json(command + ["--resume"])
        #expect(again["trials"] as? Int == 2 * 3)
    }
}
