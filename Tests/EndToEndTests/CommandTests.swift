import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// Every command on the bundled model, small.
@Suite struct CommandTests {
    private static let opening = ["generate", "--prompt", "Call me Ishmael. Some years ago", "--max-tokens", "24"]
    private static let continuation = ", I was a little boy, and I was a boy, and I was a boy, and I was a boy"

    @Test func generatesTheKnownContinuation() throws {
        let outcome = try Program.run(Self.opening)
        #expect(outcome.exitCode == 0)
        #expect(outcome.output == Self.continuation + "\n")
        #expect(outcome.errors.hasPrefix("dense attention in FP32: model loaded in ") && outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test func generatesFromAFileAndFromStandardInput() throws {
        let scratch = try Scratch()
        let prompt = "Call me Ishmael. Some years ago"
        let file = try scratch.write(prompt, to: "prompt.txt")
        let fromFile = try Program.output(["generate", "--prompt-file", file, "--max-tokens", "24"])
        #expect(fromFile == Self.continuation + "\n")
        let fromInput = try Program.output(["generate", "--prompt-file", "-", "--max-tokens", "24"], input: Data(prompt.utf8))
        #expect(fromInput == fromFile)
    }

    @Test func thePromptMayBeginWithADash() throws {
        for prompt in ["- summarize this", "-1", "--json", "--", "---", "-", "--prompt"] {
            let file = try Program.output(["generate", "--prompt-file", "-", "--max-tokens", "4"], input: Data(prompt.utf8))
            #expect(try Program.output(["generate", "--prompt", prompt, "--max-tokens", "4"]) == file)
        }
    }

    /// Tokens of single bytes, drawn almost evenly: most of them are broken UTF-8.
    @Test(arguments: ["1", "2", "3"]) func whatIsPrintedIsTheText(seed: String) throws {
        let model = try TinyModel(Scratch())
        let arguments = [
            "generate", "--model", model.path, "--prompt", "a", "--max-tokens", "200", "--temperature", "50", "--seed", seed,
        ]
        let text = try #require(Program.json(arguments)["text"] as? String)
        #expect(text.unicodeScalars.contains("\u{FFFD}"))
        #expect(try Program.output(arguments).unicodeScalars.elementsEqual((text + "\n").unicodeScalars))
    }

    @Test(arguments: ["1", "5", "1000"])
    func generatesTheSameInChunks(_ chunk: String) throws {
        #expect(try Program.output(Self.opening + ["--chunk", chunk]) == Self.continuation + "\n")
    }

    @Test(arguments: ["scalar", "avx2", "avx512", "avx512bf16", "amx"])
    func generatesTheSameOnEveryInstructionSet(_ isa: String) throws {
        let arguments = Self.opening + ["--isa", isa]
        let flags = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let needed = [
            "scalar": [], "avx2": [" avx2", " fma"], "avx512": [" avx512f"], "avx512bf16": [" avx512_bf16"],
            "amx": [" avx512_bf16", " amx_tile", " amx_bf16"],
        ][isa]!
        if needed.allSatisfy(flags.contains) {
            #expect(try Program.output(arguments) == Self.continuation + "\n")
            #expect(
                ((try Program.json(arguments)["provenance"] as? [String: Any])?["machine"] as? [String: Any])?["instructionSet"] as? String
                    == isa)
        } else {
            try expect(.unsupported, naming: ["isa: \(isa)"], arguments)
        }
    }

    @Test func drawsFromTheSeed() throws {
        let drawing = Self.opening + ["--temperature", "1.5", "--seed"]
        let texts = try ["1", "1", "2"].map { try Program.output(drawing + [$0]) }
        #expect(texts[0] == texts[1])
        #expect(texts[0] != texts[2])
    }

    /// A prompt long enough that rows are drawn, not read whole.
    private static func longPrompt() throws -> [String] {
        let prompt = try Program.output(["tasks", "--length", "512", "--prompt-only"])
        return ["generate", "--prompt", prompt, "--max-tokens", "1", "--attention", "sample"]
    }

    @Test func certifiesEveryHead() throws {
        let arguments = try Self.longPrompt()
        let result = try Program.json(arguments + ["--certificate-rows", "100", "--confidence", "0.9"])
        let certificate = try #require(result["certificate"] as? [String: Any])
        #expect(try number(certificate, "confidence") == 0.9 && number(certificate, "rows") == 100)
        #expect(certificate["escalatedHeads"] as? Int == 0 && certificate["minMass"] == nil)
        let seconds = try number(certificate, "seconds")
        #expect(try seconds > 0 && seconds == number(result, "certificateSeconds") && seconds < number(result, "attentionSeconds"))
        let heads = try #require(certificate["heads"] as? [[String: Any]])
        #expect(Set(heads.map { [$0["chunk"] as? Int, $0["layer"] as? Int, $0["head"] as? Int] }).count == 48 && heads.count == 48)
        for head in heads {
            let unseen = try #require(head["unseen"] as? [String: Any])
            #expect(unseen["drawn"] as? Int == 100 && head["isExact"] as? Bool == false)
            let (bound, mean) = try (number(head, "meanLowerBound"), number(head, "meanMass"))
            #expect(0 < bound && bound < mean && mean <= 1)
            #expect(try number(unseen, "meanBernsteinBound") < number(unseen, "meanLowerBound"))
            #expect(try number(unseen, "shareLowerBound") < number(unseen, "share"))
            #expect(try abs(number(head, "meanErrorBound") - (1 - bound) * number(head, "valueDiameter")) < 1e-9)
        }
        #expect(try number(certificate, "leastMeanLowerBound") == heads.map { try number($0, "meanLowerBound") }.min())
        let chunked = try Program.json(arguments + ["--chunk", "200"])
        #expect(((chunked["certificate"] as? [String: Any])?["heads"] as? [Any])?.count == 3 * 48)
    }

    @Test func certificatesComeWhereTheyAreWanted() throws {
        let arguments = try Self.longPrompt()
        #expect(try Program.json(arguments)["certificate"] is [String: Any])
        #expect(try Program.json(arguments + ["--no-certificate"])["certificate"] == nil)
        #expect(try Program.json(Self.opening)["certificate"] == nil, "dense attention has nothing to certify unless asked")
        #expect(try !Program.run(arguments).errors.contains("certificate"))
        #expect(try Program.run(arguments + ["--certificate"]).errors.contains("certificate: mean retained mass"))
        #expect(try Program.run(Self.opening + ["--certificate"]).errors.contains("every head is dense"))
    }

    @Test func aLeastMassChangesTheHeadsThatMissIt() throws {
        let arguments = try Self.longPrompt() + ["--certificate-rows", "200", "--alpha", "0.7"]
        let plain = try Program.json(arguments)
        let some = try Program.json(arguments + ["--min-mass", "0.8"])
        let all = try Program.json(arguments + ["--min-mass", "0.9999"])
        let certificates = try [plain, some, all].map { try #require($0["certificate"] as? [String: Any]) }
        let escalated = try certificates.map { try number($0, "escalatedHeads") }
        #expect(escalated[0] == 0 && escalated[1] > 0 && escalated[2] == 48, "\(escalated)")
        #expect(try number(certificates[1], "leastMeanLowerBound") >= 0.8 && number(certificates[2], "leastMeanLowerBound") == 1)
        #expect(certificates[2]["denseHeads"] as? Int == 48)
        let densities = try [plain, some, all].map { try number($0, "density") }
        #expect(densities[0] < densities[1] && densities[1] < densities[2] && densities[2] == 1, "\(densities)")
    }

    @Test func warnsOfALeastMassThatNoDrawsCanShow() throws {
        let arguments = try Self.longPrompt() + ["--certificate-rows", "200", "--min-mass"]
        let warned = try Program.run(arguments + ["0.99"]).errors
        #expect(warned.hasPrefix("warning: min-mass: 0.99: 200 drawn rows show at most 0.9"), "\(warned)")
        let match = try #require(warned.firstMatch(of: /48 of 48 heads are dense; it takes --certificate-rows (\d+) or more\n/))
        for rows in [try #require(Int(match.1)), 2000] {
            let errors = try Program.run(arguments + ["0.99", "--certificate-rows", "\(rows)"]).errors
            #expect(!errors.contains("warning"), "\(errors)")
        }
        #expect(try !Program.run(arguments + ["0.9"]).errors.contains("warning"))
    }

    @Test func chunkedHeadsAreCountedAsSuch() throws {
        let errors = try Program.run(Self.longPrompt() + ["--certificate", "--chunk", "200"]).errors
        #expect(errors.contains("of 144 heads × chunks dense") && errors.contains("in the head and chunk where that is least"), "\(errors)")
        #expect(try Program.run(Self.longPrompt() + ["--certificate"]).errors.contains("of 48 heads dense"))
    }

    @Test func profilesEveryHead() throws {
        let scratch = try Scratch()
        let result = try Program.json(["profile", "--length", "256", "--output", scratch.file("out")])
        let profiles = try #require(result["profiles"] as? [[String: Any]])
        let heads = try #require(profiles.first?["heads"] as? [[String: Any]])
        #expect(profiles.count == 1 && heads.count == 48)
        #expect(Set(heads.map { [$0["layer"] as? Int, $0["head"] as? Int] }).count == 48)
        for head in heads {
            let mass = try #require(head["retained"] as? [String: Any])
            let (least, p1, mean) = try (number(mass, "min"), number(mass, "p1"), number(mass, "mean"))
            #expect(0 < least && least <= p1 && p1 <= mean && mean <= 1, "\(head)")
            let degrees = try #require(head["sparsityDegrees"] as? [Double])
            #expect(degrees.count == 3 && degrees == degrees.sorted(by: >), "SD falls as α rises: \(degrees)")
        }
        #expect(try scratch.snapshot().keys.sorted() == ["out", "out/profile.json", "out/report.html"])
        let written = try #require(JSONSerialization.jsonObject(with: Data(scratch.read("out/profile.json").utf8)) as? NSDictionary)
        #expect(written == result as NSDictionary)
    }

    @Test func evaluatesTasksAndPerplexity() throws {
        let scratch = try Scratch()
        // The model's own continuation is right everywhere; a word it does not expect is not.
        let text = "Call me Ishmael. Some years ago" + Self.continuation
        let own = text.unicodeScalars.count - Self.continuation.unicodeScalars.count
        let tasks = try scratch.write(
            """
            {"id":"1","task":"own words","length":36,"text":"\(text)","answers":[{"start":\(own),"end":\(own + 21)},{"start":8,"end":15}]}

            {"id":"2","task":"question","length":12,"prompt":"Call me Ishmael. Some years ago","answer":"whale"}

            """, to: "tasks.jsonl")
        let result = try Program.json([
            "evaluate", "--tasks", tasks, "--perplexity", HaystackModel.texts[0].path, "--length", "36", "--length", "12", "--windows", "2",
            "--stride", "50",
        ])
        let rows = try #require(result["tasks"] as? [[String: Any]])
        #expect(rows.map { $0["task"] as? String } == ["own words", "question"])
        #expect(rows.map { $0["score"] as? Int } == [1, 0] && rows.map { $0["asked"] as? Int } == [2, 1])
        let losses = try #require(result["perplexity"] as? [[String: Any]])
        #expect(losses.map { $0["length"] as? Int } == [12, 36])
        for loss in losses {
            #expect(try (1...12).contains(number(loss, "nll")), "better than chance, ln 4096 = 8.3, give or take: \(loss)")
        }
    }

    @Test func estimatesTheReviewsFigures() throws {
        let result = try Program.json(["estimate"])
        let review = try #require(result["review"] as? [String: Any])
        let (full, sparse) = try (number(review, "fullOperations"), number(review, "sparseOperations"))
        #expect(full == 8.192e11)
        #expect(abs(sparse - 2.867e10) < 0.001e10)
        #expect(abs(full / sparse - 28.6) < 0.05)
        #expect(try number(review, "fullScoreBytes") == 25.6e9)
        let text = try Program.output(["estimate"])
        for figure in ["819.2 G", "28.67 G", "28.6×", "25.60 GB"] {
            #expect(text.contains(figure), "\(figure): \(text)")
        }
    }

    /// Short layers only: what they say is nothing, but everything is there.
    @Test func calibratesTheMachine() throws {
        let scratch = try Scratch()
        let options = [
            "calibrate", "--max-length", "128", "--threads", "1", "--head-dimension", "16", "--output", scratch.file("model.json"),
        ]
        let result = try Program.json(options)
        let model = try #require(result["latencyModel"] as? [String: Any])
        #expect(try number(model, "meanAbsolutePercentageError") >= 0 && model["headDimension"] as? Int == 16)
        let costs = try #require(model["secondsPerUnit"] as? [String: Double])
        #expect(costs.values.allSatisfy { (0..<1).contains($0) } && costs.values.contains { $0 > 0 })
        let written = try #require(JSONSerialization.jsonObject(with: Data(scratch.read("model.json").utf8)) as? NSDictionary)
        #expect(written == model as NSDictionary)
        let text = try Program.output(options)
        for part in ["1 threads, FP32, head dimension 16", "densePairs", "held-out layers", "window of 256 and 4 sinks"] {
            #expect(text.contains(part), "\(part): \(text)")
        }
        #expect(try Program.run(["calibrate", "--head-dimension", "0"]).errors.contains("head-dimension: 0"))
    }

    @Test func precisionIsRecorded() throws {
        let result = try Program.json(["generate", "--prompt", "It was", "--max-tokens", "2", "--precision", "bf16"])
        let machine = (result["provenance"] as? [String: Any])?["machine"] as? [String: Any]
        #expect(machine?["precision"] as? String == "bf16")
    }

    /// Columns and slashes in a real prefill, sampled three ways.
    @Test(arguments: ["stride", "tail-blocks", "last-rows", "random"])
    func generatesWithColumnsAndSlashes(_ sampling: String) throws {
        let result = try Program.json(
            Self.opening + ["--head-pattern", "column-slash", "--alpha", "0.9", "--alpha-slashes", "0.8", "--sampling", sampling])
        #expect(result["attention"] as? String == "sample")
        #expect(result["text"] as? String == Self.continuation)
    }

    /// Key blocks in a real prefill: the prompt's end needs no more than these.
    @Test(arguments: ["16", "32", "64"]) func generatesWithKeyBlocks(_ tokens: String) throws {
        let result = try Program.json(
            Self.opening + ["--head-pattern", "key-blocks", "--key-blocks", "4", "--key-block-tokens", tokens, "--window-tokens", "64"])
        #expect(result["attention"] as? String == "sample")
        #expect(result["text"] as? String == Self.continuation)
    }

    /// And no more than half of the coordinates to choose them.
    @Test func generatesWithKeyBlocksOfSomeCoordinates() throws {
        let result = try Program.json(
            Self.opening + ["--head-pattern", "key-blocks", "--key-blocks", "4", "--scored-dimensions", "0.5", "--window-tokens", "64"])
        #expect(result["attention"] as? String == "sample")
        #expect(result["text"] as? String == Self.continuation)
    }

    @Test func helpsWithEveryCommand() throws {
        var commands: [[String]] = [[]]
        var seen = 0
        while let command = commands.popLast() {
            let outcome = try Program.run(command + ["--help"])
            #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(command)")
            #expect(outcome.output.contains("USAGE: sample-attention" + command.map { " " + $0 }.joined()), "\(command): \(outcome.output)")
            commands += Self.subcommands(outcome.output).map { command + [$0] }
            seen += 1
        }
        #expect(seen >= 12)
    }

    /// The names under SUBCOMMANDS: two spaces, the name, at least two spaces or the end of the line.
    private static func subcommands(_ help: String) -> [String] {
        guard let list = help.range(of: "SUBCOMMANDS:\n") else { return [] }
        return help[list.upperBound...].split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }.compactMap { line in
            line.hasPrefix("  ") && !line.hasPrefix("   ") ? line.split(separator: " ").first.map(String.init) : nil
        }
    }

    @Test func saysItsVersion() throws {
        #expect(try Program.output(["--version"]).wholeMatch(of: /sample-attention \d+\.\d+\.\d+ \([0-9a-z-]+\)\n/) != nil)
    }
}
