import AttentionTestSupport
import Foundation
import Testing

/// Every command on models of several families: windows and caps, sinks and experts, fused projections.
@Suite struct FamilyCommandTests {
    /// With the layers that attend to everything.
    static let families: [(name: String, full: [Int])] = [
        ("gemma2", [1]), ("gemma3-text", [2]), ("gpt-oss", [1]), ("qwen3-moe", [0, 1]), ("glm4", [0, 1]), ("cohere2", [1]),
        ("internlm2", [0, 1]),
    ]

    private let scratch: Scratch
    private let model: String
    private let text, question: String

    init() throws {
        scratch = try Scratch()
        model = scratch.file("model")
        let sentence = "The quick brown fox jumps over the lazy dog; "
        text = try scratch.write(String(repeating: sentence, count: 60), to: "text.txt")
        question = try scratch.write(String(repeating: sentence, count: 8), to: "question.txt")
    }

    private func install(_ family: String) throws {
        let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("LanguageModelsTests/golden/families/\(family)")
        try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
        for name in ["config.json", "model.safetensors"] {
            try scratch.write(Data(contentsOf: golden.appendingPathComponent(name)), to: "model/\(name)")
        }
        try scratch.write(TinyModel.smallTokenizer(), to: "model/tokenizer.json")
    }

    @Test(arguments: families) func looksAtHeads(family: (name: String, full: [Int])) throws {
        try install(family.name)
        let source = ["--model", model, "--text", text, "--length", "300"]
        // The usual length is cut to the model's context.
        #expect(try Program.output(["profile", "--model", model, "--text", text]).contains("512") || family.name == "internlm2")
        let profile = try Program.json(["profile"] + source)
        let profiles = try #require(profile["profiles"] as? [[String: Any]])
        let heads = try #require(profiles.first?["heads"] as? [[String: Any]])
        #expect(Set(heads.compactMap { $0["layer"] as? Int }) == Set(family.full))
        // Caps and sinks are part of what the theorems and the kernel's rounding are held against.
        let verified = try Program.json(["verify"] + source)
        #expect(verified["holds"] as? Bool == true, "\(verified)")
        let captured = scratch.file("layers.safetensors")
        try Program.output(["capture"] + source + ["--output", captured])
        #expect(try Program.json(["verify", "--captured", captured])["holds"] as? Bool == true)
    }

    @Test(arguments: families) func generates(family: (name: String, full: [Int])) throws {
        try install(family.name)
        let prompt = ["generate", "--model", model, "--prompt-file", question, "--max-tokens", "4"]
        for more in [[], ["--cache", "int8"], ["--chunk", "100"], ["--evict", "streaming", "--cache-tokens", "200"]] {
            try Program.output(prompt + more)
        }
        let certified = try Program.json(prompt + ["--attention", "sample", "--alpha", "0.8", "--certificate"])
        let heads = try #require((certified["certificate"] as? [String: Any])?["heads"] as? [[String: Any]])
        #expect(Set(heads.compactMap { $0["layer"] as? Int }) == Set(family.full))
    }

    @Test(arguments: families) func tunesAndCompares(family: (name: String, full: [Int])) throws {
        try install(family.name)
        let latency = try Study.latencyModel(scratch, headDimension: ["gemma3-text", "qwen3-moe"].contains(family.name) ? 24 : 16)
        let output = scratch.file("tuned")
        let summary = try Program.output([
            "tune", "--model", model, "--text", text, "--length", "320", "--trials", "3", "--force", "--latency-model", latency,
            "--output", output,
        ])
        let trials = try Study.records(output).compactMap { $0["trial"] as? [String: Any] }
        #expect(Set(trials.compactMap { $0["layer"] as? Int }) == Set(family.full))
        // The last columns of its table count heads: those of layers with a window of their own are not among them.
        let row = try #require(summary.split(separator: "\n").first { $0.hasPrefix("   320 ") }).split(separator: " ")
        let queryHeads = Set(trials.compactMap { $0["head"] as? Int }).count
        #expect(row.suffix(4).compactMap { Int($0) }.reduce(0, +) == family.full.count * queryHeads, "\(summary)")
        let config = output + "/config.json"
        try Program.output(["generate", "--model", model, "--config", config, "--prompt-file", question, "--max-tokens", "2"])
        try Program.output(["evaluate", "--model", model, "--perplexity", text, "--length", "256", "--windows", "1", "--config", config])
        try Program.output([
            "compare", "--model", model, "--text", text, "--length", "500", "--count", "1", "--kind", "needle-single", "--methods",
            "dense,sample,streaming-llm,hash-sparse",
        ])
        try Program.output(["estimate", "--model", model])
    }

    /// A model in which nothing can gain runs, and says so where gain is looked for.
    @Test func modelsOfWindowsAloneRun() throws {
        try install("mistral")
        let run = try Program.run(["generate", "--model", model, "--prompt", "hello", "--max-tokens", "2", "--attention", "sample"])
        #expect(run.exitCode == 0 && run.errors.contains("no layer can gain"), "\(run.errors)")
        for command in [["profile"], ["verify"], ["tune", "--output", scratch.file("tuned")]] {
            let refused = try Program.run(command + ["--model", model, "--text", text, "--length", "300"])
            #expect(refused.exitCode == Refusal.usage.rawValue && refused.errors.contains("window of its own"), "\(refused.errors)")
        }
    }
}
