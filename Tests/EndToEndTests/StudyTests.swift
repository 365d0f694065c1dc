import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// What `tune` is given, and what it leaves in its output folder.
enum Study {
    /// `tune` on a tiny model at 320 tokens, but for `--trials` and `--output`.
    static func command(_ model: TinyModel) throws -> [String] {
        [
            "tune", "--model", model.path, "--text", try model.writeText(characters: 6000), "--length", "320", "--force", "--latency-model",
            try latencyModel(model.scratch, headDimension: 8),
        ]
    }

    /// A machine that is made up, so that no test measures this one: pairs cost, the rest is free.
    static func latencyModel(_ scratch: Scratch, headDimension: Int) throws -> String {
        let free = [
            "heads", "laneBlocks", "distantRows", "loadedKeys", "tiles", "maskedTiles", "gatheredColumns", "summedPairs", "quantizedKeys",
            "quantizedProducts", "candidates",
            "certificates", "certifiedPairs",
        ]
        let pairs = [
            "densePairs": 1e-9, "windowPairs": 1e-9, "columnPairs": 1.2e-9, "blockPairs": 1e-9, "sampledPairs": 6e-10,
            "quantizedPairs": 2e-10,
        ]
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

    /// The journal's records without the seconds that prefills took.
    static func records(_ folder: String) throws -> [NSDictionary] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/journal.jsonl"))
        return try data.split(separator: UInt8(ascii: "\n")).dropFirst().map { line in
            var record = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            if let check = record["check"] as? [String: Any] { record["check"] = check.filter { !$0.key.contains("Seconds") } }
            if var heldOut = record["heldOut"] as? [String: Any] {
                heldOut["row"] = (heldOut["row"] as? [String: Any])?.filter { !$0.key.contains("Seconds") }
                record["heldOut"] = heldOut
            }
            return record as NSDictionary
        }
    }

    static func journalLines(_ folder: String) -> Int {
        FileManager.default.contents(atPath: folder + "/journal.jsonl")?.count { $0 == UInt8(ascii: "\n") } ?? 0
    }
}

/// `tune`: what it writes, and what a config must hold for.
@Suite struct StudyTests {
    private let model: TinyModel
    private let command: [String]
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch(), shape: .init(layers: 2))
        command = try Study.command(model)
    }

    /// Of a model with more heads than are probed, the others' options are judged by gradients alone.
    @Test func mostOptionsArePredicted() throws {
        let scratch = try Scratch()
        let folder = scratch.file("out")
        let result = try Program.json(["tune", "--length", "512", "--trials", "3", "--force", "--output", folder])
        // One to three windows of each head; two of six heads that answers hang on and one of five others are followed through the model.
        #expect((48...3 * 48).contains(try #require(result["predictions"] as? Int)))
        #expect((11...17).contains(try #require(result["probes"] as? Int)))
        let report = try scratch.read("out/report.html")
        #expect(report.contains("on the prompt they were probed on"))
    }

    @Test func writesConfigJournalAndReport() throws {
        let folder = scratch.file("study")
        let result = try Program.json(command + ["--trials", "3", "--budget-ms", "0.15", "--output", folder])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["config.json", "journal.jsonl", "report.html"])
        #expect(result["trials"] as? Int == 2 * 2 * 3)
        #expect(
            result["seconds"] is Double && (result["latencyModel"] as? [String: Any])?["meanAbsolutePercentageError"] as? Double == 0.05)
        let heldOut = try #require(result["heldOut"] as? [[String: Any]])
        #expect(heldOut.compactMap { $0["kind"] as? String } == Array(repeating: "plain", count: 4) + ["interleaved", "interleaved"])
        let trials = try Study.records(folder).compactMap { $0["trial"] as? [String: Any] }
        let places = try trials.map { trial in try ["layer", "head", "number"].map { try #require(trial[$0] as? Int) } }
        #expect(Set(places).count == 2 * 2 * 3)
        #expect(try scratch.read("study/report.html").hasPrefix("<!DOCTYPE html>"))

        let check = try Program.json(["config", "check", folder + "/config.json", "--model", model.path])
        #expect(check["valid"] as? Bool == true && check["lengths"] as? [Int] == [320])
        #expect(try Study.config(folder).contains { $0.contains("\"denseBelow\" : 256") })

        // The config decides how generation attends.
        let prompt = try model.writeText("prompt.txt", characters: 400)
        let generation = try Program.json([
            "generate", "--model", model.path, "--config", folder + "/config.json", "--prompt-file", prompt, "--max-tokens", "4",
        ])
        #expect(generation["attention"] as? String == "tuned")
        let density = try #require(generation["density"] as? Double)
        #expect(density > 0 && density < 1)
    }

    /// Text that the config was not tuned on decides: what a head keeps of a text that repeats itself is less of a book's.
    @Test func aConfigThatDoesNotHoldIsNotWritten() throws {
        let lines = Array(repeating: "one two three four five six seven eight nine ten eleven twelve", count: 400)
        let text = try scratch.write(lines.joined(separator: "\n"), to: "repeats.txt")
        let folder = scratch.file("strict")
        let arguments = [
            "tune", "--model", model.path, "--precision", "fp32", "--length", "320", "--trials", "6", "--text", text,
            "--text", HaystackModel.texts[1].path, "--floor-mass", "0.902", "--floor-nll", "1", "--floor-answers", "0.1", "--latency-model",
            scratch.file("latency.json"), "--output", folder,
        ]
        let outcome = try Program.run(arguments + ["--json"])
        #expect(outcome.exitCode == Refusal.configuration.rawValue)
        let start = "error: \(folder)/config.json: held-out check: 320 tokens, layer "
        #expect(outcome.errors.hasPrefix(start) && outcome.errors.contains("floor 0.902: not written"), "\(outcome.errors)")
        #expect(try outcome.json()["holds"] as? Bool == false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["journal.jsonl", "report.html"])
        #expect(try Program.json(arguments + ["--resume", "--force"])["holds"] as? Bool == false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
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
        command = try Study.command(model) + ["--trials", "3", "--output", model.scratch.file("out")]
        try Program.output(command)
    }

    @Test func refusesToOverwriteAJournal() throws {
        try expect(.cannotCreate, naming: ["out/journal.jsonl", "--resume"], leaving: scratch, command)
    }

    @Test func refusesTheJournalOfAnotherStudy() throws {
        let resume = command + ["--resume"]
        try expect(
            .configuration, naming: ["out/journal.jsonl", "line 1, settings.seed: 1: must be 7"], leaving: scratch,
            resume + ["--seed", "7"])
        try expect(.configuration, naming: ["line 1, settings.trials: 3: must be 5"], leaving: scratch, resume + ["--trials", "5"])
        try expect(.configuration, naming: ["line 1, settings.floor"], leaving: scratch, resume + ["--floor-nll", "0.5"])
        model.tensors[0].values[0] += 1
        try model.write()
        try expect(.configuration, naming: ["line 1, model"], leaving: scratch, resume)
    }

    @Test func refusesTheJournalOfAnotherText() throws {
        _ = try model.writeText(characters: 7000)
        try expect(.configuration, naming: ["line 1, textSHA256"], leaving: scratch, command + ["--resume"])
    }

    /// A journal may name a sampler that there was once, or will be.
    @Test func refusesTheJournalOfAnUnknownSampler() throws {
        let journal = try scratch.read("out/journal.jsonl").replacingOccurrences(of: #""sampler":"tpe""#, with: #""sampler":"gp""#)
        try scratch.write(journal, to: "out/journal.jsonl")
        let parts = ["out/journal.jsonl: line 1, settings.sampler: gp: ", "must be one of quasi-random, tpe"]
        try expect(.invalidData, naming: parts, leaving: scratch, command + ["--resume"])
    }

    /// Line 1 is the header, line 2 the first trial.
    @Test(arguments: [
        ("nonsense", 1, "line 1: must be the header of such a journal"), ("nonsense", 2, "line 2: must be a record of this journal"),
        ("{}", 4, "line 4: must be one trial, prediction, probe, check, heldOut or transfer"),
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
