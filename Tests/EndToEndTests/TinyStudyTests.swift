import AttentionTestSupport
import Foundation
import Testing

/// `tune` on a model of a few thousand weights: determinism, and what a study takes over from others.
@Suite struct TinyStudyTests {
    private let model: TinyModel
    private let command: [String]
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch(), shape: .init(layers: 2))
        command = try Study.command(model)
    }

    @Test func givesTheSameConfigForTheSameSeed() throws {
        for (folder, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
            try Program.output(command + ["--trials", "9", "--seed", seed, "--output", scratch.file(folder)])
        }
        #expect(try Study.config(scratch.file("a")) == Study.config(scratch.file("b")))
        #expect(try Study.records(scratch.file("a")) == Study.records(scratch.file("b")))
        // Another seed tries other parameters beyond the ladder of windows.
        let trials = try ["a", "c"].map { try Study.records(scratch.file($0)).compactMap { $0["trial"] as? NSDictionary } }
        #expect(trials[0].count == 2 * 2 * 9 && trials[0] != trials[1])
    }

    /// A study ends with the latency model it was begun with, and with the earlier config it was begun with.
    @Test func keepsItsLatencyModelAndItsBeginning() throws {
        let command = command + ["--trials", "3", "--output", scratch.file("costs")]
        try Program.output(command)
        let config = scratch.file("costs/config.json")
        let expected = try Study.config(scratch.file("costs"))
        // Another machine's costs on the command line change nothing.
        var machine = try #require(JSONSerialization.jsonObject(with: Data(scratch.read("latency.json").utf8)) as? [String: Any])
        var costs = try #require(machine["secondsPerUnit"] as? [String: Double])
        costs["densePairs"] = 1e-6
        machine["secondsPerUnit"] = costs
        try scratch.write(JSONSerialization.data(withJSONObject: machine), to: "latency.json")
        try Program.output(command + ["--resume"])
        #expect(try Study.config(scratch.file("costs")) == expected)
        let refused = try Program.run(command + ["--resume", "--warm-start", config])
        #expect(refused.exitCode == Refusal.configuration.rawValue && refused.errors.contains("warmStartSHA256"), "\(refused.errors)")
    }

    /// Every head is measured on text it was not tuned on, and held to the floor of mass there.
    @Test func headsAreCheckedOnOtherText() throws {
        let result = try Program.json(
            command + ["--trials", "8", "--floor-mass", "0.9", "--floor-tail", "2", "--output", scratch.file("mass")])
        let heads = try #require(result["heads"] as? [[String: Any]])
        #expect(heads.count == 4)
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
        let text = try Program.output(command + ["--minutes", "1e-9", "--output", scratch.file("short")])
        #expect(text.hasPrefix("Time ran out"), "\(text.prefix(200))")
        #expect(text.contains("Nothing faster than dense attention was found"))
        #expect(try scratch.read("short/report.html").contains("Time ran out"))
    }

    /// A budget of time instead of a floor: what is predicted stays within it.
    @Test func aBudgetIsKept() throws {
        let budget = command.filter { $0 != "--force" } + ["--trials", "4", "--output", scratch.file("budget"), "--budget-ms"]
        let result = try Program.json(budget + ["0.15"])
        let steps = try #require(result["steps"] as? [[String: Any]])
        #expect(try steps.count == 1 && number(steps[0], "milliseconds") <= 0.15 && number(steps[0], "milliseconds") > 0.1)
        #expect(result["holds"] as? Bool == true, "a budget has no floor to miss")
        try FileManager.default.removeItem(atPath: scratch.file("budget"))
        let refused = try Program.run(budget + ["1e-9"])
        #expect(refused.exitCode == Refusal.configuration.rawValue)
        #expect(refused.errors.contains("budget-ms: 320 tokens: the least found is"), "\(refused.errors)")
    }

    /// An earlier config's parameters are tried first.
    @Test func startsFromAnEarlierConfig() throws {
        try Program.output(command + ["--trials", "9", "--output", scratch.file("first")])
        let config = scratch.file("first/config.json")
        try Program.output(command + ["--trials", "1", "--warm-start", config, "--output", scratch.file("second")])
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
}
