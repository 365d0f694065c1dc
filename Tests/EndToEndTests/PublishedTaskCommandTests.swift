import AttentionTestSupport
import Testing

/// `evaluate` and `compare` on a file of LongBench.
@Suite struct PublishedTaskCommandTests {
    private let model: TinyModel
    private let tasks: String
    private var scratch: Scratch { model.scratch }

    init() throws {
        model = try TinyModel(Scratch())
        let context = String(repeating: "0123456789", count: 40)
        let row = #"{"_id":"a","input":"?","context":"\#(context)","answers":["b"],"dataset":"hotpotqa","all_classes":null}"#
        tasks = try model.scratch.write(row + "\n", to: "hotpotqa.jsonl")
    }

    @Test func tasksAreMadeForEveryLength() throws {
        let templates = try scratch.write(#"{"hotpotqa":"{context}{input}"}"#, to: "templates.json")
        for command in [["evaluate", "--templates", templates], ["evaluate"], ["compare", "--methods", "dense"]] {
            let result = try Program.json(command + ["--tasks", tasks, "--model", model.path, "--length", "90", "--length", "120"])
            let rows = try #require((result["tasks"] ?? result["rows"]) as? [[String: Any]])
            #expect(rows.compactMap { $0["length"] as? Int } == [90, 120], "\(result)")
            #expect(rows.allSatisfy { $0["task"] as? String == "hotpotqa" }, "\(result)")
        }
    }

    @Test func refusesTemplatesWithoutTheDataset() throws {
        let templates = try scratch.write(#"{"lcc":"{context}"}"#, to: "templates.json")
        try expect(
            .invalidData, naming: [templates, "hotpotqa", "must have a template"],
            ["evaluate", "--tasks", tasks, "--templates", templates, "--model", model.path, "--length", "90"])
        try expect(
            .missingInput, naming: [scratch.file("none.json"), "templates"],
            ["evaluate", "--tasks", tasks, "--templates", scratch.file("none.json"), "--model", model.path])
    }

    @Test func refusesALengthWithoutRoomForTheAnswer() throws {
        try expect(
            .usage, naming: ["length: 33", "32 new tokens of hotpotqa"],
            ["evaluate", "--tasks", tasks, "--model", model.path, "--length", "33"])
    }
}
