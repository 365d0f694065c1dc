import AttentionTestSupport
import Foundation
import Testing

/// Outputs that cannot be written: a line, an exit code, and nothing half-written.
@Suite struct OutputRefusalTests {
    private let model: TinyModel
    private let text: String
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch())
        text = try model.writeText()
    }

    private func command(_ name: String, output: String) throws -> [String] {
        let tuning = ["--trials", "2", "--force", "--latency-model", try Study.latencyModel(scratch, headDimension: 8)]
        return [name, "--model", model.path, "--text", text, "--length", name == "tune" ? "320" : "64", "--output", output]
            + (name == "tune" ? tuning : [])
    }

    @Test(arguments: ["profile", "tune"])
    func refusesAFolderBelowAFile(_ name: String) throws {
        let below = text + "/out"
        try expect(.cannotCreate, naming: [below, "must be writable"], leaving: scratch, try command(name, output: below))
        try expect(.cannotCreate, naming: [text], leaving: scratch, try command(name, output: text))
    }

    @Test(.enabled(if: getuid() != 0, "the superuser may write everywhere"), arguments: ["profile", "tune"])
    func refusesAReadOnlyFolder(_ name: String) throws {
        let folder = scratch.file("locked")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o555])
        try expect(.cannotCreate, naming: [folder, "must be writable"], leaving: scratch, try command(name, output: folder))
    }

    @Test func refusesAJournalThatIsAFolder() throws {
        try FileManager.default.createDirectory(atPath: scratch.file("out/journal.jsonl"), withIntermediateDirectories: true)
        try expect(
            .cannotCreate, naming: ["out/journal.jsonl", "must be writable"], leaving: scratch,
            try command("tune", output: scratch.file("out"))
        )
    }

    @Test func refusesAReportThatIsAFolder() throws {
        try FileManager.default.createDirectory(atPath: scratch.file("out/profile.json"), withIntermediateDirectories: true)
        try expect(
            .cannotCreate, naming: ["out/profile.json", "is a directory"], leaving: scratch,
            try command("profile", output: scratch.file("out"))
        )
    }

    /// Whatever the command prints, a full disk behind standard output must not look like success.
    @Test(arguments: [
        "profile --length 64 --text \"$text\" --model \"$model\" --json", "profile --length 64 --text \"$text\" --model \"$model\"",
        "generate --prompt a --model \"$model\" --max-tokens 3", "tasks --length 512", "estimate", "estimate --json",
        "estimate --length 0 --json",
    ])
    func saysWhenStandardOutputIsFull(_ arguments: String) throws {
        let outcome = try Program.shell("model='\(model.path)' text='\(text)'; exec \"$program\" \(arguments) > /dev/full")
        #expect(outcome.exitCode == Refusal.inputOutput.rawValue, "\(outcome.errors)")
        #expect(outcome.errors == "error: standard output: cannot be written (No space left on device)\n")
    }

    @Test func endsWithItsExitCodeWhenStandardErrorIsClosed() throws {
        #expect(try Program.shell("exec \"$program\" generate --prompt a --isa mmx 2>&-").exitCode == Refusal.usage.rawValue)
    }

    /// A file-size limit stands for a full disk: the write that passes it fails as it would there.
    @Test(.enabled(if: Program.mayBeLimited)) func keepsTheJournalWhenTheDiskIsFull() throws {
        let arguments = try Program.quoted(command("tune", output: scratch.file("out")))
        // 512-byte blocks: room for the header and some trials, but not for all and not for a report.
        let limited = try Program.shell("trap '' XFSZ; ulimit -f 6; exec \"$program\" \(arguments)")
        #expect(limited.exitCode == Refusal.inputOutput.rawValue, "\(limited.errors)")
        #expect(
            limited.errors.hasPrefix("error: \(scratch.file("out/journal.jsonl")): ") && limited.errors.filter { $0 == "\n" }.count == 1,
            "\(limited.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("out")) == ["journal.jsonl"])

        try Program.output(try command("tune", output: scratch.file("out")) + ["--resume"])
        try Program.output(try command("tune", output: scratch.file("whole")))
        #expect(try Study.config(scratch.file("out")) == Study.config(scratch.file("whole")))
    }

    /// Room for the journal and not for the report.
    @Test(.enabled(if: Program.mayBeLimited)) func saysThatAllIsMeasuredWhenTheReportCannotBeWritten() throws {
        try Program.output(try command("profile", output: scratch.file("whole")))
        let report = try scratch.read("whole/report.html").utf8.count
        let arguments = try Program.quoted(command("profile", output: scratch.file("out")))
        let limited = try Program.shell("trap '' XFSZ; ulimit -f \(report / 512); exec \"$program\" \(arguments)")
        #expect(limited.exitCode == Refusal.inputOutput.rawValue)
        #expect(limited.errors.hasPrefix("error: \(scratch.file("out/report.html")): "), "\(limited.errors)")
        #expect(
            limited.errors.hasSuffix("all is measured and in \(scratch.file("out/journal.jsonl")): --resume will write it\n"),
            "\(limited.errors)")
        try Program.output(try command("profile", output: scratch.file("out")) + ["--resume"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("out")).sorted() == ["profile.json", "report.html"])
    }

    @Test(.enabled(if: Program.mayBeLimited)) func aProfileContinuesAfterAFullDisk() throws {
        let arguments = try Program.quoted(command("profile", output: scratch.file("out")))
        let limited = try Program.shell("trap '' XFSZ; ulimit -f 4; exec \"$program\" \(arguments)")
        #expect(limited.exitCode == Refusal.inputOutput.rawValue, "\(limited.errors)")
        #expect(
            limited.errors.hasPrefix("error: \(scratch.file("out/journal.jsonl")): ") && limited.errors.filter { $0 == "\n" }.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("out")) == ["journal.jsonl"])

        try Program.output(try command("profile", output: scratch.file("out")) + ["--resume"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("out")).sorted() == ["profile.json", "report.html"])
    }
}
