import AttentionTestSupport
import Foundation
import Testing

/// Texts, prompts and task files that cannot be used.
@Suite struct TextRefusalTests {
    private let model: TinyModel
    private var scratch: Scratch { model.scratch }

    init() throws { model = try TinyModel(Scratch()) }

    @Test(arguments: ["profile", "verify", "tune"])
    func refusesATextThatIsTooShort(_ command: String) throws {
        let text = try scratch.write("Too short.", to: "short.txt")
        let output = command == "verify" ? [] : ["--output", scratch.file("out")]
        let rule =
            command == "tune" ? "must hold 600 tokens to tune on and to check on; or give a second --text" : "must hold the 299 tokens"
        try expect(
            .invalidData, naming: [text, "10 tokens", rule], leaving: scratch,
            [command, "--model", model.path, "--text", text, "--length", "300"] + output)
    }

    @Test func refusesATextWithoutRoomForTheHeldOutCheck() throws {
        let text = try model.writeText(characters: 500)
        try expect(
            .invalidData, naming: [text, "500 tokens", "second --text"], leaving: scratch,
            ["tune", "--model", model.path, "--text", text, "--length", "300", "--output", scratch.file("out")])
    }

    @Test func refusesATextThatIsTooShortForPerplexity() throws {
        let text = try scratch.write("Too short.", to: "short.txt")
        try expect(
            .invalidData, naming: [text, "10 tokens", "3 windows"],
            ["evaluate", "--model", model.path, "--perplexity", text, "--length", "100"])
        try expect(.usage, naming: ["length: 2"], ["evaluate", "--model", model.path, "--perplexity", text, "--length", "2"])
    }

    @Test func refusesATextThatIsNotUTF8() throws {
        let text = try scratch.write(Data("caf".utf8 + [0xE9, 0x20] + Array(repeating: 0x61, count: 500)), to: "latin1.txt")
        for command in [["profile", "--text"], ["verify", "--text"], ["evaluate", "--perplexity"]] {
            try expect(.invalidData, naming: [text, "UTF-8"], command + [text, "--model", model.path, "--length", "64"])
        }
        try expect(.invalidData, naming: [text, "UTF-8"], ["generate", "--prompt-file", text, "--model", model.path])
        try expect(
            .invalidData, naming: ["standard input", "UTF-8"], input: Data([0xFF, 0xFE]),
            ["generate", "--prompt-file", "-", "--model", model.path])
    }

    @Test func refusesATextThatIsNotThere() throws {
        let text = scratch.file("none.txt")
        try expect(.missingInput, naming: [text], ["profile", "--text", text, "--length", "64", "--model", model.path])
        try expect(.missingInput, naming: [text], ["generate", "--prompt-file", text, "--model", model.path])
        try expect(.missingInput, naming: [scratch.path], ["generate", "--prompt-file", scratch.path, "--model", model.path])
        try expect(.missingInput, naming: [text], ["evaluate", "--tasks", text, "--model", model.path])
    }

    /// A pipe is a text like any other; a device that never ends is not.
    @Test func readsTextsFromPipes() throws {
        let text = try model.writeText()
        let command = "exec \"$program\" profile --length 64 --json --model '\(model.path)' --text /dev/stdin"
        let piped = try Program.shell("cat '\(text)' | { \(command); }")
        #expect(piped.exitCode == 0, "\(piped.errors)")
        let own = try Program.json(["profile", "--length", "64", "--model", model.path, "--text", text])
        func digest(_ result: [String: Any]) throws -> String {
            try #require((result["profiles"] as? [[String: Any]])?.first?["textSHA256"] as? String)
        }
        #expect(try digest(piped.json()) == digest(own))
        try expect(
            .invalidData, naming: ["/dev/zero", "at most 1073741824 bytes"],
            ["profile", "--model", model.path, "--length", "64", "--text", "/dev/zero"])
    }

    /// A closed stream is no empty text, and no file opened later takes its place.
    @Test(arguments: ["- <&-", "- </tmp", "/dev/stdin <&-"]) func refusesStandardInputThatCannotBeRead(_ input: String) throws {
        let command = "exec \"$program\" generate --model '\(model.path)'"
        let outcome = try Program.shell("\(command) --prompt-file \(input)")
        let refusal: Refusal = input.hasPrefix("-") ? .inputOutput : .missingInput
        #expect(outcome.exitCode == refusal.rawValue && outcome.errors.filter { $0 == "\n" }.count == 1, "\(outcome.errors)")
        #expect(outcome.errors.hasPrefix(input.hasPrefix("-") ? "error: standard input: cannot be read" : "error: /dev/stdin: "))
        let json = try Program.shell("\(command) --json --prompt-file \(input)")
        #expect(json.exitCode == refusal.rawValue && json.errors.isEmpty)
        #expect(try (json.json()["error"] as? [String: String])?["code"] == "\(refusal)")
    }

    @Test func aResultNeedsAnOpenStandardOutput() throws {
        let outcome = try Program.shell("exec \"$program\" generate --model '\(model.path)' --prompt a --max-tokens 3 >&-")
        #expect(outcome.exitCode == Refusal.inputOutput.rawValue && outcome.errors.contains("standard output"), "\(outcome.errors)")
    }

    /// The mark is no part of a text, wherever the text comes from.
    @Test func passesOverAByteOrderMark() throws {
        let marked = try scratch.write("\u{FEFF}abc", to: "marked.txt")
        let tasks = try scratch.write(
            "\u{FEFF}" + #"{"id":"a","task":"t","length":9,"prompt":"p","answer":"a"}"#, to: "tasks.jsonl")
        for prompt in [["--prompt", "\u{FEFF}abc"], ["--prompt-file", marked]] {
            let result = try Program.json(["generate", "--model", model.path, "--max-tokens", "1"] + prompt)
            #expect(result["promptTokens"] as? Int == 4)
        }
        try Program.output(["evaluate", "--tasks", tasks, "--model", model.path])
        try expect(.usage, naming: ["prompt", "must not be empty"], ["generate", "--prompt", "\u{FEFF}", "--model", model.path])
    }

    @Test func refusesAnEmptyPrompt() throws {
        let empty = try scratch.write("", to: "empty.txt")
        try expect(.usage, naming: ["prompt", "must not be empty"], ["generate", "--prompt-file", empty, "--model", model.path])
        try expect(.usage, naming: ["prompt", "must not be empty"], ["generate", "--prompt-file", "-", "--model", model.path])
    }

    @Test func refusesAPromptPastTheModelsPositions() throws {
        model.configuration["max_position_embeddings"] = 8
        try model.write()
        try expect(
            .usage, naming: ["prompt", "9 tokens", "max_position_embeddings of 8"],
            ["generate", "--model", model.path, "--prompt", "12345678"])
        // Seven characters and begin-of-text fill the positions; one token can still be chosen, whatever is asked for.
        let result = try Program.json(["generate", "--model", model.path, "--prompt", "1234567", "--max-tokens", "50"])
        #expect((result["tokens"] as? [Int])?.count == 1)
    }

    struct TaskCase: Sendable, CustomTestStringConvertible {
        let line: String
        let parts: [String]
        var testDescription: String { line }
    }

    static let taskCases = [
        TaskCase(line: #"{"id":"b","task":"#, parts: ["line 2", "broken JSON"]),
        TaskCase(line: #"["b"]"#, parts: ["line 2: a task must be an object"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"prompt":"p","answer":"a","scorer":"bleu"}"#,
            parts: ["line 2, scorer: bleu: must be one of exact-match, recall, any-answer, f1"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"prompt":"p","answer":"a","scorer":1}"#, parts: ["line 2, scorer: must be a text"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"prompt":"p","answers":["a",1]}"#, parts: ["line 2, answers[1]: must be a text"]),
        TaskCase(line: #"{"id":"b","task":"t","length":9,"prompt":"p","answers":"a"}"#, parts: ["line 2, answers: must be a list"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"prompt":"p","answer":"a","onlyFirstLine":1}"#,
            parts: ["line 2, onlyFirstLine: must be true or false"]),
        TaskCase(line: #"{"id":"b","task":"t","prompt":"p","answer":"a"}"#, parts: ["line 2, length: is missing"]),
        TaskCase(line: #"{"id":"b","task":"t","length":"9","prompt":"p","answer":"a"}"#, parts: ["line 2, length: must be a whole number"]),
        TaskCase(line: #"{"id":"b","task":"t","length":0,"prompt":"p","answer":"a"}"#, parts: ["line 2", "length", "0", "positive"]),
        TaskCase(line: #"{"id":"b","task":"t","length":9,"prompt":"p"}"#, parts: ["line 2", "prompt and answer"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"text":"abc","answers":[{"start":1,"end":4}]}"#,
            parts: ["line 2", "answers", "1..<4", "3 characters"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"text":"abc","answers":[{"start":2,"end":2}]}"#, parts: ["line 2", "answers", "2..<2"]),
        TaskCase(
            line: #"{"id":"b","task":"t","length":9,"text":"abc","answers":[{"start":-1,"end":2}]}"#,
            parts: ["line 2", "answers", "-1..<2"]),
    ]

    @Test(arguments: taskCases)
    func refusesATaskFile(_ broken: TaskCase) throws {
        let good = #"{"id":"a","task":"t","length":9,"prompt":"p","answer":"a"}"#
        let path = try scratch.write(good + "\n" + broken.line + "\n", to: "tasks.jsonl")
        try expect(.invalidData, naming: [path] + broken.parts, ["evaluate", "--tasks", path, "--model", model.path])
    }

    @Test func namesTheRowOfAListAndItsField() throws {
        let row = #"{"id":"a","task":"t","length":9,"prompt":"p","answer":"a"}"#
        let path = try scratch.write("[\(row),\(row.replacing("}", with: #","scorer":"bleu"}"#))]", to: "tasks.json")
        try expect(
            .invalidData, naming: [path, "row 2, scorer: bleu: must be one of"], ["evaluate", "--tasks", path, "--model", model.path])
    }

    /// The first bytes of a gzip member and a Zstandard frame.
    @Test(arguments: [([0x1F, 0x8B, 0x08, 0x00] as [UInt8], "gzip"), ([0x28, 0xB5, 0x2F, 0xFD], "Zstandard")])
    func namesCompressedFiles(start: [UInt8], name: String) throws {
        let path = try scratch.write(Data(start + Array("{}".utf8)), to: "tasks.jsonl.gz")
        for command in [
            ["evaluate", "--tasks"], ["evaluate", "--perplexity"], ["profile", "--length", "64", "--text"], ["generate", "--prompt-file"],
        ] {
            try expect(.invalidData, naming: [path, "is compressed (\(name))"], command + [path, "--model", model.path])
        }
    }

    @Test func refusesATaskFileWithoutTasks() throws {
        let empty = try scratch.write("\n", to: "tasks.jsonl")
        try expect(.invalidData, naming: [empty, "at least one task"], ["evaluate", "--tasks", empty, "--model", model.path])
        let other = try scratch.write(#"{"id":"a","task":"t","length":9,"prompt":"p","answer":"a"}"#, to: "tasks.jsonl")
        try expect(
            .usage, naming: [other, "length: 10", "no task"], ["evaluate", "--tasks", other, "--model", model.path, "--length", "10"])
    }

    @Test func namesTheTaskWhosePromptIsTooLong() throws {
        model.configuration["max_position_embeddings"] = 8
        try model.write()
        let path = try scratch.write(#"{"id":"long one","task":"t","length":9,"prompt":"0123456789","answer":"a"}"#, to: "tasks.jsonl")
        try expect(
            .usage, naming: ["long one", "11 tokens", "max_position_embeddings of 8"], ["evaluate", "--tasks", path, "--model", model.path])
    }
}
