import AttentionTestSupport
import Foundation
import Testing

/// `config show`, `diff`, `export` and `import`, as people run them.
@Suite struct ConfigToolsTests {
    private let model: TinyModel
    private let config: String
    private var scratch: Scratch { model.scratch }

    init() throws { (model, config) = try ConfigTests.tuned() }

    /// A copy of the config with a piece of its text replaced.
    private func copy(_ name: String, _ old: String, _ new: String) throws -> String {
        let text = try scratch.read("study/config.json")
        let range = try #require(text.range(of: old, options: .regularExpression), "\(old) is not in \(text)")
        return try scratch.write(text.replacingCharacters(in: range, with: new), to: name)
    }

    @Test func showsProvenanceAndEveryHead() throws {
        let text = try Program.output(["config", "show", config])
        for part in [
            "llama 1 layers 2/1 heads of 8", "text.txt", "at no length as a whole", "200 tokens, for prompts from 1 up:", "mean mass",
        ] {
            #expect(text.contains(part), "\(part) is not in \(text)")
        }
        let rows = text.split(separator: "\n").filter { $0.contains("stripe-window ") && !$0.hasPrefix("defaults") }
        #expect(rows.count == 2)
        #expect(
            try Program.output(["config", "show", config, "--head", "1"]).split(separator: "\n").count == text.split(separator: "\n").count
                - 1)
    }

    @Test func showsWhatAppliesAtALength() throws {
        let early = try copy("early.json", #""denseBelow" : 0"#, #""denseBelow" : 150"#)
        #expect(try Program.output(["config", "show", early, "--length", "149"]).contains("149 tokens: dense, as every prompt below 150"))
        #expect(try Program.output(["config", "show", early, "--length", "150"]).contains("150 tokens: the bucket of 200"))
        let dense = try Program.json(["config", "show", early, "--length", "149"])
        #expect((dense["applies"] as? [String: Any])?["dense"] as? Bool == true && (dense["buckets"] as? [Any])?.isEmpty == true)
        let sparse = try Program.json(["config", "show", early, "--length", "9999", "--layer", "0", "--head", "1"])
        #expect((sparse["applies"] as? [String: Any])?["bucketLength"] as? Int == 200)
        let heads = try #require((sparse["buckets"] as? [[String: Any]])?.first?["heads"] as? [[String: Any]])
        #expect(heads.map { $0["head"] as? Int } == [1] && heads[0]["parameters"] != nil && heads[0]["measured"] != nil)
    }

    @Test func diffSaysWhereTwoConfigsDiffer() throws {
        let equal = try Program.run(["config", "diff", config, config])
        #expect(equal.exitCode == 0 && equal.output == "the configs are equal\n" && equal.errors.isEmpty)
        let other = try copy("other.json", #""alpha" : [0-9.]+"#, #""alpha" : 0.125"#)
        let different = try Program.run(["config", "diff", config, other])
        #expect(different.exitCode == 1 && different.errors.isEmpty)
        #expect(different.output.contains("buckets[200][0][0].parameters.alpha") && different.output.contains("0.125"))
        #expect(different.output.hasSuffix("\n1 field differs: 200 tokens 1\n"), "\(different.output)")
        let json = try Program.run(["config", "diff", config, other, "--json"])
        let difference = try #require((json.json()["differences"] as? [[String: Any]])?.first)
        #expect(json.exitCode == 1 && difference["right"] as? String == "0.125" && difference["length"] as? Int == 200)
        #expect(try Program.json(["config", "diff", config, config])["equal"] as? Bool == true)
    }

    @Test(arguments: ["minference", "vllm"]) func exportImportExportIsTheSame(format: String) throws {
        let exchange = ["--format", format, "--length", "200"]
        let first = try Program.run(["config", "export", config] + exchange)
        #expect(first.exitCode == 0 && first.errors.hasPrefix("warning: \(config): ") && first.errors.filter { $0 == "\n" }.count == 1)
        #expect(first.output.hasPrefix("[{\"0\": [\""))
        let foreign = try scratch.write(first.output, to: "foreign.json")
        let (imported, again) = (scratch.file("imported.json"), scratch.file("again.json"))
        let back = try Program.run(["config", "import", foreign, "--model", model.path, "--output", imported] + exchange)
        #expect(back.exitCode == 0 && back.output.hasPrefix("Wrote \(imported): 2 heads"), "\(back.errors)")
        #expect(back.errors.hasPrefix("warning: \(foreign): slash lines") && back.errors.filter { $0 == "\n" }.count == 1)
        #expect(try Program.output(["config", "export", imported, "--output", again] + exchange) == "Wrote \(again)\n")
        #expect(try scratch.read("again.json") == first.output)
        #expect(try Program.output(["config", "check", imported, "--model", model.path]).contains("valid for this model"))
        try Program.output(["generate", "--model", model.path, "--prompt", "abc abc abc", "--max-tokens", "2", "--config", imported])
    }

    @Test func exchangesAreSaidInJSONToo() throws {
        let exchange = ["--format", "minference", "--length", "200"]
        let export = try Program.json(["config", "export", config] + exchange)
        let layers = try #require(export["layers"] as? [[[Any]]])
        #expect(layers.count == 1 && layers[0].count == 2 && layers[0][0].count == 4)
        #expect(export["estimatedHeads"] as? Int == 2 && (export["warning"] as? String)?.contains("estimates") == true)
        let foreign = scratch.file("foreign.json")
        let written = try Program.json(["config", "export", config, "--output", foreign] + exchange)
        #expect(written["output"] as? String == foreign && written["layers"] == nil)
        let imported = try Program.json(
            ["config", "import", foreign, "--model", model.path, "--output", scratch.file("imported.json")] + exchange)
        #expect(imported["heads"] as? Int == 2)
        #expect(try number(imported, "density") > 0)
    }

    @Test func refusesHeadsThatTheOtherProgramCannotExpress() throws {
        let slashes = try copy("slashes.json", #""pattern" : "stripe-window""#, #""pattern" : "column-slash""#)
        let exchange = ["--format", "vllm", "--length", "200"]
        try expect(.unsupported, naming: [slashes, "pattern: column-slash"], leaving: scratch, ["config", "export", slashes] + exchange)
        try expect(
            .unsupported, naming: [config, "layer 0, head 0, columnCount", "not at 300"], leaving: scratch,
            ["config", "export", config, "--format", "vllm", "--length", "300", "--output", scratch.file("out.json")])
    }

    @Test func refusesForeignFilesThatAreBroken() throws {
        func refuse(_ refusal: Refusal, _ text: String, naming parts: [String], length: String = "200", output: String? = nil) throws {
            let foreign = try scratch.write(text, to: "foreign.json")
            try expect(
                refusal, naming: parts, leaving: scratch,
                [
                    "config", "import", foreign, "--model", model.path, "--format", "minference", "--length", length, "--output",
                    output ?? scratch.file("imported.json"),
                ])
        }
        let whole = "[{\"0\": [\"stream_llm\", 4, 64, 0.9], \"1\": [\"vertical_and_slash\", 30, 64, 0.9]}]"
        try refuse(.invalidData, "{", naming: ["foreign.json: JSON"])
        try refuse(.configuration, "[]", naming: ["foreign.json: layers: 0: must be the model's 1"])
        try refuse(.invalidData, whole.replacingOccurrences(of: "64", with: "0"), naming: ["layer 0, head 0, n_local: 0.0"])
        try refuse(
            .unsupported, whole.replacingOccurrences(of: "stream_llm", with: "block_sparse"), naming: ["head 0, pattern: block_sparse"])
        try refuse(.usage, whole, naming: ["length: 1"], length: "1")
        try refuse(.cannotCreate, whole, naming: ["the directory must exist"], output: scratch.file("no/where.json"))
    }

    @Test func refusesOptionsThatCannotBeMeant() throws {
        let exchange = ["--format", "vllm", "--length", "200"]
        try expect(
            .usage, naming: ["format: gguf: must be minference or vllm"],
            ["config", "export", config, "--format", "gguf", "--length", "200"])
        try expect(.usage, naming: ["length: 0"], ["config", "export", config, "--format", "vllm", "--length", "0"])
        try expect(.usage, naming: ["layer: 1: must be from 0 to 0"], ["config", "show", config, "--layer", "1"])
        try expect(.usage, naming: ["head: 2: must be from 0 to 1"], ["config", "show", config, "--head", "2"])
        try expect(.usage, naming: ["length: 0"], ["config", "show", config, "--length", "0"])
        let none = scratch.file("none.json")
        try expect(.missingInput, naming: [none], ["config", "show", none])
        try expect(.missingInput, naming: [none], ["config", "diff", config, none])
        try expect(.missingInput, naming: [none], ["config", "export", none] + exchange)
        try expect(
            .missingInput, naming: [none], ["config", "import", none, "--model", model.path, "--output", scratch.file("o")] + exchange)
    }
}
