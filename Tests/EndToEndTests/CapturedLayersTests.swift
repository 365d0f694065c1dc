import AttentionTestSupport
import Foundation
import Testing

/// Commands that look at heads, on layers from a file: the same numbers as from the model that wrote it.
@Suite struct CapturedLayersTests {
    private let model: TinyModel
    private let file: String
    private let source: [String]
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch(), shape: .init(layers: 3))
        file = model.scratch.file("heads.safetensors")
        source = ["--model", model.path, "--text", try model.writeText(characters: 3000), "--length", "300"]
        try Program.output(["capture"] + source + ["--output", file])
    }

    /// Without what differs from run to run.
    private func numbers(_ result: [String: Any]) -> NSDictionary {
        func strip(_ value: Any) -> Any {
            if let object = value as? [String: Any] {
                return object.filter { !["date", "seconds", "threadsBusy"].contains($0.key) }.mapValues(strip) as NSDictionary
            }
            return (value as? [Any]).map { $0.map(strip) as NSArray } ?? value
        }
        return strip(result) as? NSDictionary ?? [:]
    }

    @Test(arguments: [["profile"], ["profile", "--alpha", "0.8"], ["verify"], ["audit", "--ratio", "0.05", "--ratio", "1"]])
    func saysWhatTheModelSays(command: [String]) throws {
        let own = numbers(try Program.json(command + source))
        let captured = numbers(try Program.json(command + ["--captured", file]))
        #expect(own == captured && own.count > 4, "\(command)")
    }

    @Test func searchesWhatTheModelSearches() throws {
        let search = [
            "search", "--latency-model", try Study.latencyModel(scratch, headDimension: 8), "--trials", "14", "--floor-mass", "0.9",
        ]
        let own = try Program.json(search + source)
        let captured = try Program.json(search + ["--captured", file, "--output", scratch.file("found")])
        #expect(numbers(own) == numbers(captured))
        let heads = try #require(own["heads"] as? [[String: Any]])
        let fronts = heads.compactMap { $0["front"] as? [Any] }
        #expect(heads.count == 6 && fronts.count == 6 && fronts.allSatisfy { !$0.isEmpty })
        // The config holds for the model that the layers are of, and keeps what it promises on them.
        let config = scratch.file("found/config.json")
        try Program.output(["config", "check", config, "--model", model.path])
        let profile = try Program.json(["profile", "--captured", file, "--config", config])
        let profiles = try #require(profile["profiles"] as? [[String: Any]])
        for head in try #require(profiles[0]["heads"] as? [[String: Any]]) {
            let retained = try #require(head["retained"] as? [String: Any])
            #expect(try #require(retained["mean"] as? Double) >= 0.9 - 1e-6, "\(head["layer"] ?? ""), \(head["head"] ?? "")")
        }
        let text = try Program.output(search + ["--captured", file])
        #expect(text.contains("300 tokens, 6 heads") && text.contains("Attention, predicted: "))
    }

    @Test func someLayersAreEnough() throws {
        let some = scratch.file("some.safetensors")
        try Program.output(["capture"] + source + ["--layer", "2", "--output", some])
        func heads(_ result: [String: Any]) throws -> [[String: Any]] {
            let profiles = try #require(result["profiles"] as? [[String: Any]])
            return try #require(profiles[0]["heads"] as? [[String: Any]])
        }
        let whole = try heads(Program.json(["profile", "--captured", file])).filter { $0["layer"] as? Int == 2 }
        let part = try heads(Program.json(["profile", "--captured", some, "--output", scratch.file("page")]))
        #expect(whole.count == 2 && whole as NSArray == part as NSArray)
        #expect(try Program.output(["profile", "--captured", some]).hasPrefix("2 heads, means"))
    }

    @Test func refusesWhatDoesNotFit() throws {
        let refusals: [([String], Int32, String)] = [
            (["profile", "--captured", file, "--length", "64"], 64, "captured: \(file): a file holds its own model, text and length"),
            (["verify", "--captured", file, "--model", model.path], 64, "a file holds its own model"),
            (["audit", "--captured", file, "--captured", file], 65, "is the prompt of"),
            (["search", "--captured", scratch.file("none.safetensors")], 66, "there is no such file"),
            (
                ["search", "--captured", model.path + "/model.safetensors"], 65,
                "must be layers.N.query, layers.N.key, layers.N.value or layers.N.sinks"
            ),
            (["search", "--captured", file, "--floor-mass", "2"], 64, "floor-mass: 2.0"),
            (["profile", "--captured", file, "--attention", "tuned"], 64, "needs the --config file"),
        ]
        for (arguments, code, message) in refusals {
            let outcome = try Program.run(arguments)
            #expect(outcome.exitCode == code && outcome.errors.contains(message), "\(outcome.errors)")
        }
    }

    /// `verify` on a config: the heads' own patterns, dense ones among them.
    @Test func verifiesAConfigHeadByHead() throws {
        let folder = scratch.file("found")
        try Program.output([
            "search", "--latency-model", try Study.latencyModel(scratch, headDimension: 8), "--trials", "6", "--captured", file, "--output",
            folder,
        ])
        let profile = try Program.json(["profile"] + source + ["--config", folder + "/config.json"])
        let verified = try Program.json(["verify"] + source + ["--config", folder + "/config.json"])
        #expect(verified["attention"] as? String == "tuned" && verified["holds"] as? Bool == true)
        let profiles = try #require(profile["profiles"] as? [[String: Any]])
        let heads = try #require(profiles[0]["heads"] as? [[String: Any]])
        let bounds = try #require(verified["heads"] as? [[String: Any]])
        for (head, bound) in zip(heads, bounds) {
            #expect(head["layer"] as? Int == bound["layer"] as? Int && head["head"] as? Int == bound["head"] as? Int)
            let density = try #require(head["density"] as? Double)
            #expect(abs(density - (try #require(bound["density"] as? Double))) < 1e-12)
            let least = try #require((head["retained"] as? [String: Any])?["min"] as? Double)
            #expect(abs(least - (try #require(bound["cumulativeResidualAttention"] as? Double))) < 1e-4)
        }
    }
}
