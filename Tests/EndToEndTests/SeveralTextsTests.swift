import AttentionTestSupport
import Foundation
import Testing

/// Commands that read several texts keep them apart, whatever their files are called.
@Suite struct SeveralTextsTests {
    private let model: TinyModel
    private var scratch: Scratch { model.scratch }
    /// Two texts in files of one name.
    private let texts: [String]

    init() throws {
        model = try TinyModel(Scratch(), shape: .init(layers: 4))
        for folder in ["a", "b"] {
            try FileManager.default.createDirectory(atPath: model.scratch.file(folder), withIntermediateDirectories: true)
        }
        texts = [
            try model.writeText("a/text.txt"),
            try model.scratch.write(String(repeating: "Nothing of this stands in the other. ", count: 40), to: "b/text.txt"),
        ]
    }

    private func command(_ name: String, _ texts: [String], length: Int = 100) -> [String] {
        [name, "--model", model.path, "--length", "\(length)"] + texts.flatMap { ["--text", $0] }
    }

    private static func profiles(_ result: [String: Any]) throws -> [[String: Any]] { try #require(result["profiles"] as? [[String: Any]]) }
    private static func heads(_ profile: [String: Any]) throws -> [NSDictionary] { try #require(profile["heads"] as? [NSDictionary]) }

    /// The journal holds all of the first text and a part of the second; a file-size limit stands for what stopped the profile. More
    /// room holds more lines, so halving finds the limit.
    private func stop(_ arguments: [String], in folder: String, atLines: ClosedRange<Int>) throws {
        let quoted = Program.quoted(arguments + ["--output", folder])
        var (least, most) = (1, 4096)
        while least <= most {
            try? FileManager.default.removeItem(atPath: folder)
            let blocks = (least + most) / 2
            let outcome = try Program.shell("trap '' XFSZ; ulimit -f \(blocks); exec \"$program\" \(quoted)")
            let lines = outcome.exitCode == 0 ? Int.max : Study.journalLines(folder)
            if atLines.contains(lines) { return }
            (least, most) = lines < atLines.lowerBound ? (blocks + 1, most) : (least, blocks - 1)
        }
        Issue.record("no limit left \(atLines) lines")
    }

    @Test(.enabled(if: Program.mayBeLimited)) func aContinuedProfileGivesEachTextItsOwnNumbers() throws {
        let arguments = command("profile", texts)
        let whole = try Self.profiles(Program.json(arguments))
        #expect(try Self.heads(whole[0]) != Self.heads(whole[1]))
        let folder = scratch.file("out")
        try stop(arguments, in: folder, atLines: 6...8)
        let continued = try Self.profiles(Program.json(arguments + ["--output", folder, "--resume"]))
        #expect(try continued.map(Self.heads) == whole.map(Self.heads))
    }

    @Test func filesOfOneNameAreNamedWithTheirFolders() throws {
        let profiles = try Self.profiles(Program.json(command("profile", texts)))
        #expect(profiles.compactMap { $0["text"] as? String } == ["a/text.txt", "b/text.txt"])
        #expect(Set(profiles.compactMap { $0["textSHA256"] as? String }).count == 2)
        // Folders of one name do not tell texts apart; their digests do.
        let deeper = try texts.enumerated().map { index, text in
            let folder = scratch.file("\(index)/same")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: text, toPath: folder + "/text.txt")
            return folder + "/text.txt"
        }
        let names = try Self.profiles(Program.json(command("profile", deeper))).map { profile in
            "text.txt (\(try #require(profile["textSHA256"] as? String).prefix(8)))" == profile["text"] as? String
        }
        #expect(names == [true, true])
        #expect(try Self.profiles(Program.json(command("profile", [texts[0]])))[0]["text"] as? String == "text.txt")
    }

    @Test func verifyTellsTextsOfOneNameApart() throws {
        let result = try Program.json(command("verify", texts))
        let heads = try #require(result["heads"] as? [[String: Any]])
        for text in ["a/text.txt", "b/text.txt"] { #expect(heads.count { $0["text"] as? String == text } == 4 * 2) }
        #expect(Set(heads.compactMap { $0["textSHA256"] as? String }).count == 2)
        // A row of the table is about one text: the same as when it is verified by itself.
        func rows(_ texts: [String]) throws -> [[Substring]] {
            try Program.output(command("verify", texts)).split(separator: "\n").filter { $0.contains("text.txt  ") }
                .map { Array($0.split(separator: " ").dropFirst()) }
        }
        #expect(try rows(texts) == texts.flatMap { try rows([$0]) })
    }

    @Test func aTextGivenTwiceIsReadOnce() throws {
        let copy = scratch.file("copy.txt")
        try FileManager.default.copyItem(atPath: texts[0], toPath: copy)
        let outcome = try Program.run(command("profile", [texts[0], copy]) + ["--json"])
        #expect(try Self.profiles(outcome.json()).count == 1)
        #expect(outcome.errors == "note: \(copy) is the text of \(texts[0]); it is read once\n")
    }
}
