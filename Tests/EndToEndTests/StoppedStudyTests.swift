import AttentionTestSupport
import Foundation
import Testing

/// What interruptions of `tune` and `search` leave, and how they continue.
@Suite struct StoppedStudyTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Stopped politely, killed in the middle, and killed with half a line written: each continues to the same config.
    @Test func continuesAStoppedStudy() throws {
        let model = try TinyModel(scratch, shape: .init(layers: 4))
        let command = try Study.command(model) + ["--trials", "6", "--isa", "scalar", "--threads", "1", "--output"]
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

    /// `search` in the same way; a finished one gives the config of another mass without measuring again.
    @Test func continuesAStoppedSearch() throws {
        let model = try TinyModel(scratch, shape: .init(layers: 4))
        let command = [
            "search", "--model", model.path, "--text", try model.writeText(characters: 3000), "--length", "200", "--length", "300",
            "--trials", "40", "--isa", "scalar", "--threads", "1", "--latency-model", try Study.latencyModel(scratch, headDimension: 8),
            "--output",
        ]
        let whole = scratch.file("whole")
        try Program.output(command + [whole])
        let expected = try Study.config(whole)

        let stopped = scratch.file("stopped")
        for signal in [SIGINT, SIGKILL] {
            let outcome = try interrupt(command + [stopped] + (signal == SIGINT ? [] : ["--resume"]), in: stopped, with: signal)
            #expect(outcome.exitCode == 128 + signal)
            if signal == SIGINT {
                #expect(outcome.errors == "stopped; \(stopped)/journal.jsonl is whole. Continue with the same command and --resume.\n")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: stopped) == ["journal.jsonl"])
        }
        // Half a line, as a power cut leaves it.
        let journal = try Data(contentsOf: URL(fileURLWithPath: stopped + "/journal.jsonl"))
        try scratch.write(journal.dropLast(20), to: "stopped/journal.jsonl")
        try Program.output(command + [stopped, "--resume"])
        #expect(try Study.config(stopped) == expected)
        let lines = try scratch.read("stopped/journal.jsonl")
        #expect(try lines == scratch.read("whole/journal.jsonl"))

        try Program.output(command + [stopped, "--resume", "--floor-mass", "0.5"])
        #expect(try Study.config(stopped) != expected)
        #expect(try scratch.read("stopped/journal.jsonl") == lines, "nothing was measured again")
        let refused = try Program.run(command + [stopped])
        #expect(refused.exitCode == Refusal.cannotCreate.rawValue && refused.errors.contains("--resume"), "\(refused.errors)")
        let seeded = try Program.run(command + [stopped, "--resume", "--seed", "5"])
        #expect(seeded.exitCode == Refusal.configuration.rawValue && seeded.errors.contains("line 1, seed"), "\(seeded.errors)")
        let nowhere = try Program.run(command.dropLast() + ["--resume"])
        #expect(nowhere.exitCode == Refusal.usage.rawValue && nowhere.errors.contains("needs the --output folder"), "\(nowhere.errors)")
    }

    /// Starts, waits for some records beyond those already there, sends the signal, and waits for the end.
    private func interrupt(_ arguments: [String], in folder: String, with signal: Int32) throws -> Program.Outcome {
        let before = Study.journalLines(folder)
        let program = try Program.start(arguments)
        try #require(program.runs { Study.journalLines(folder) >= before + 10 }, "ended before it could be interrupted")
        program.send(signal)
        return try program.wait()
    }

    /// One forward pass over 16,384 tokens takes longer than a program may take to end here, when scalar code computes it on one
    /// thread; Ctrl-C does not wait for it.
    @Test func stopsInTheMiddleOfALongPrompt() throws {
        let folder = scratch.file("long")
        let program = try RunningProgram(
            Program.path,
            [
                "tune", "--length", "16384", "--trials", "4", "--isa", "scalar", "--threads", "1", "--output", folder, "--force",
                "--latency-model", try Study.latencyModel(scratch, headDimension: 64),
            ])
        try #require(program.runs { Study.journalLines(folder) == 1 && program.catches(SIGINT) })
        program.send(SIGINT)
        let outcome = try program.wait()
        #expect(outcome.exitCode == 128 + SIGINT)
        #expect(outcome.errors.contains("--resume"))
        #expect(Study.journalLines(folder) == 1)
    }

    /// Calibrating comes before the journal's first line, and after its lock. Scalar code on one thread takes long for it.
    @Test func saysWhenItIsStoppedWhileCalibrating() throws {
        let folder = scratch.file("calibrating")
        let tune = ["tune", "--length", "2048", "--isa", "scalar", "--threads", "1", "--precision", "fp32", "--output", folder]
        let program = try RunningProgram(Program.path, tune, environment: ["XDG_CACHE_HOME": scratch.file("cache")])
        try #require(program.runs { program.catches(SIGINT) })
        let second = try Program.run(tune)
        #expect(second.exitCode == Refusal.cannotCreate.rawValue && second.errors.contains("another process is writing this journal"))
        program.send(SIGINT)
        let outcome = try program.wait()
        #expect(outcome.exitCode == 128 + SIGINT)
        #expect(outcome.errors == "stopped before anything was measured for the study. Start again with the same command.\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["journal.jsonl"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/journal.jsonl")).isEmpty)
    }
}
