import Foundation
import Testing

/// Options that cannot be meant: exit code 64 and one line, without the parser's usage text.
@Suite struct OptionRefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let parts: [String]
        var testDescription: String { arguments.joined(separator: " ") }

        init(_ arguments: [String], _ parts: String...) {
            self.arguments = arguments
            self.parts = parts
        }
    }

    private static let generate = ["generate", "--prompt", "a"]
    private static let huge = "1099511627776"

    static let cases: [Case] = [
        Case(generate + ["--frobnicate"], "--frobnicate"),
        Case(generate + ["--max-tokens", "many"], "many", "--max-tokens"),
        Case(generate + ["--max-tokens"], "--max-tokens"),
        Case(generate + ["--max-tokens", "0"], "max-tokens: 0"),
        Case(["tune"], "--output"),
        Case(["config", "check"], "<file>"),
        Case(generate + ["--attention", "quadratic"], "attention: quadratic", "dense, sample, paper", "x-attention"),
        Case(generate + ["--attention", "hash-sparse", "--certificate"], "certificate", "hash-sparse", "keeps hash buckets"),
        Case(generate + ["--attention", "moba", "--certificate"], "certificate", "moba", "what each row chooses"),
        Case(generate + ["--head-pattern", "key-blocks", "--key-blocks", "4", "--density", "0.1"], "key-blocks: 4", "--density"),
        Case(generate + ["--attention", "big-bird", "--alpha", "0.9"], "attention: big-bird", "--alpha"),
        Case(generate + ["--attention", "streaming-llm", "--density", "0"], "density: 0.0: must be in (0, 1]"),
        Case(generate + ["--head-pattern", "window", "--density", "0.1"], "density: 0.1", "--head-pattern"),
        Case(["profile", "--attention", "big-bird", "--length", "64"], "attention: big-bird", "SampleAttention's parameters"),
        Case(["profile", "--attention", "paper", "--density", "0.1", "--length", "64"], "density: 0.1"),
        Case(generate + ["--attention", "tuned", "--density", "0.1"], "density: 0.1: tuned attention has no budget"),
        Case(generate + ["--attention", "dense", "--density", "0.1"], "density: 0.1: dense attention has no budget"),
        Case(generate + ["--density", "0.1", "--alpha", "0.9"], "alpha: 0.9", "--density"),
        Case(generate + ["--cache", "int4"], "cache: int4: must be auto, fp32, bf16 or int8"),
        Case(generate + ["--evict", "streaming"], "evict: streaming: needs --cache-tokens"),
        Case(generate + ["--cache-tokens", "5"], "cache-tokens: 5: needs --evict"),
        Case(generate + ["--evict", "all", "--cache-tokens", "5"], "evict: all", "heavy-hitters"),
        Case(["compare", "--evict", "streaming", "--cache-tokens", "5", "--length", "512"], "evict: streaming: needs --generate"),
        Case(["compare", "--methods", "dense,big-bird", "--alpha", "0.5", "--length", "512"], "methods: must have sample"),
        Case(["compare", "--templates", "none.json", "--length", "512"], "templates: none.json: needs --tasks"),
        Case(["compare", "--resume", "--length", "512"], "resume: needs the --output folder"),
        Case(["compare", "--methods", ",", "--length", "512"], "methods: must name at least one"),
        Case(["compare", "--density", "2", "--length", "512"], "density: 2.0: must be in (0, 1]"),
        Case(["compare", "--tasks", "none.jsonl", "--kind", "copy"], "tasks: none.jsonl: a task file leaves nothing to make"),
        Case(["tasks", "--kind", "riddle", "--length", "512"], "kind: riddle: must be needle-single"),
        Case(["tasks", "--depth", "2", "--length", "512"], "depth: 2.0: must be from 0 to 1"),
        Case(["tasks", "--kind", "copy", "--depth", "0.5", "--length", "512"], "depth: 0.5: needs --kind needle-single"),
        Case(["tasks", "--values", "3", "--length", "512"], "values: 3: needs --kind needle-multi-value"),
        Case(["tasks", "--facts", "0", "--length", "512"], "facts: 0"),
        Case(["tasks", "--count", "0", "--length", "512"], "count: 0"),
        Case(["compare", "--methods", "dense,quadratic", "--length", "512"], "methods: quadratic: must be one of dense"),
        Case(["compare", "--length", "20"], "length: 20", "too short"),
        Case(generate + ["--isa", "mmx"], "isa: mmx", "scalar, avx2, avx512"),
        Case(generate + ["--threads", "0"], "threads: 0", "from 1 to "),
        Case(generate + ["--threads", "1000000"], "threads: 1000000"),
        Case(generate + ["--seed=-1"], "-1", "seed"),
        Case(generate + ["--attention", "sample", "--alpha", "0"], "alpha: 0.0: must be in (0, 1]"),
        Case(generate + ["--attention", "sample", "--alpha", "1.5"], "alpha: 1.5: must be in (0, 1]"),
        Case(generate + ["--attention", "sample", "--alpha", "nan"], "alpha: nan: must be in (0, 1]"),
        Case(generate + ["--attention", "dense", "--alpha", "0.9"], "attention: dense", "--alpha"),
        Case(generate + ["--attention", "dense", "--config", "none.json"], "attention: dense", "--config"),
        Case(generate + ["--alpha", "1.5"], "alpha: 1.5: must be in (0, 1]"),
        Case(["profile", "--alpha", "0", "--length", "64"], "alpha: 0.0"),
        Case(["profile", "--sparsity-alpha", "2", "--length", "64"], "sparsity-alpha: 2.0"),
        Case(["verify", "--alpha", "inf", "--length", "64"], "alpha: inf"),
        Case(["compare", "--methods", "dense,sample", "--window-ratio", "8", "--length", "512"], "window-ratio: 8.0"),
        Case(generate + ["--window-tokens", "0"], "window-tokens: 0"),
        Case(generate + ["--window-tokens", "5", "--window-ratio", "0.1"], "window-tokens", "not both"),
        Case(generate + ["--column-scoring", "best"], "column-scoring: best: must be window-aware or all-mass"),
        Case(
            generate + ["--head-pattern", "plaid"], "head-pattern: plaid: must be dense, window, stripe-window, column-slash or key-blocks"),
        Case(generate + ["--key-blocks", "4"], "key-blocks: 4: needs --head-pattern key-blocks"),
        Case(generate + ["--head-pattern", "window", "--key-block-tokens", "16"], "key-block-tokens: 16: needs --head-pattern key-blocks"),
        Case(generate + ["--head-pattern", "dense", "--key-blocks", "4"], "key-blocks: 4: needs --head-pattern key-blocks"),
        Case(generate + ["--head-pattern", "key-blocks", "--key-blocks", "0"], "key-blocks: 0: must be from 1 to "),
        Case(generate + ["--head-pattern", "key-blocks", "--key-block-tokens", "128"], "key-block-tokens: 128: must be 16, 32 or 64"),
        Case(generate + ["--scored-dimensions", "0.5"], "scored-dimensions: 0.5: needs --head-pattern key-blocks"),
        Case(
            generate + ["--head-pattern", "window", "--scored-dimensions", "1"], "scored-dimensions: 1.0: needs --head-pattern key-blocks"),
        Case(
            generate + ["--head-pattern", "key-blocks", "--scored-dimensions", "0"], "scored-dimensions: 0.0: must be in (0, 1]"),
        Case(generate + ["--head-pattern", "key-blocks", "--scored-dimensions", "32"], "scored-dimensions: 32.0: must be in (0, 1]"),
        Case(["bench", "selection", "--scored-dimensions", "nan"], "scored-dimensions: nan: must be in (0, 1]"),
        Case(generate + ["--attention", "dense", "--scored-dimensions", "0.5"], "attention: dense"),
        Case(generate + ["--head-pattern", "key-blocks", "--alpha", "0.9"], "alpha: 0.9: needs --head-pattern stripe-window"),
        Case(generate + ["--head-pattern", "key-blocks", "--sampling", "stride"], "sampling: stride: needs --head-pattern stripe-window"),
        Case(generate + ["--attention", "dense", "--key-blocks", "4"], "attention: dense"),
        Case(generate + ["--sampling", "often"], "sampling: often: must be stride, tail-blocks, last-rows or random"),
        Case(generate + ["--alpha-slashes", "0.9"], "alpha-slashes: 0.9: needs --head-pattern column-slash"),
        Case(generate + ["--head-pattern", "column-slash", "--alpha-slashes", "2"], "alpha-slashes: 2.0: must be in (0, 1]"),
        Case(generate + ["--attention", "dense", "--sampling", "random"], "attention: dense"),
        Case(generate + ["--temperature=-1"], "temperature: -1.0"),
        Case(generate + ["--temperature", "-1"], "temperature: -1.0: must be 0 or a positive number"),
        Case(generate + ["--temperature", "-inf"], "temperature: -inf"),
        Case(generate + ["--max-tokens", "-3"], "max-tokens: -3: must be from 1"),
        Case(generate + ["--seed", "-1"], "-1", "seed"),
        Case(generate + ["--attention", "sample", "--alpha", "-.5"], "alpha: -0.5: must be in (0, 1]"),
        Case(["estimate", "--length", "-5"], "length: -5"),
        Case(["verify", "--length", "64", "--length", "-5"], "length: -5: must be from 2"),
        Case(["tune", "--floor-nll", "0", "--output", "/dev/null/unused"], "floor-nll: 0.0: must be positive"),
        Case(["tune", "--floor-tail", "0", "--output", "/dev/null/unused"], "floor-tail: 0.0: must be positive"),
        Case(generate + ["--top-p", "0"], "top-p: 0.0"),
        Case(generate + ["--chunk", "0"], "chunk: 0"),
        Case(generate + ["--attention", "sample", "--certificate-rows", "1"], "certificate-rows: 1: must be from 2"),
        Case(generate + ["--attention", "sample", "--confidence", "1"], "confidence: 1.0: must be above 0 and below 1"),
        Case(generate + ["--attention", "sample", "--confidence", "nan"], "confidence: nan"),
        Case(generate + ["--attention", "sample", "--confidence", "1e-17"], "confidence: 1e-17: must be above 0 and below 1"),
        Case(generate + ["--attention", "sample", "--min-mass", "95"], "min-mass: 95.0: must be in (0, 1]"),
        Case(generate + ["--min-mass", "0"], "min-mass: 0.0"),
        Case(generate + ["--attention", "sample", "--no-certificate", "--min-mass", "0.9"], "min-mass: 0.9", "--no-certificate"),
        Case(["bench", "certificate", "--certificate-rows", "0"], "certificate-rows: 0"),
        Case(["bench", "scores", "--length", "0"], "length: 0"),
        Case(["bench", "scores", "--head-dimension", "2000"], "head-dimension: 2000: must be from 1 to 1024"),
        Case(generate + ["--prompt-file", "b"], "--prompt or --prompt-file"),
        Case(["generate"], "--prompt or --prompt-file"),
        Case(["generate", "--prompt", ""], "prompt: 0 characters: must not be empty"),
        Case(["profile", "--length", "1"], "length: 1", "from 2 to"),
        Case(["profile", "--length", "32769"], "length: 32769", "32768"),
        Case(["verify", "--length=-5"], "length: -5"),
        Case(["tune", "--length", "0", "--output", "/dev/null/unused"], "length: 0"),
        Case(["tune", "--trials", "0", "--output", "/dev/null/unused"], "trials: 0"),
        Case(["tune", "--sampler", "gp", "--output", "/dev/null/unused"], "sampler: gp: must be quasi-random or tpe"),
        Case(["tune", "--trials", huge, "--output", "/dev/null/unused"], "trials: \(huge)"),
        Case(["tune", "--floor-mass", "95", "--output", "/dev/null/unused"], "floor-mass: 95.0"),
        Case(["evaluate"], "--tasks or --perplexity"),
        Case(["evaluate", "--perplexity", "none", "--windows", huge, "--stride", huge], "windows: \(huge)"),
        Case(["estimate", "--shape", "abacus"], "shape: abacus", "chatglm2-6b"),
        Case(["estimate", "--bytes-per-element", "3"], "bytes-per-element: 3"),
        Case(["bench", "sampler", "--sampler", "luck"], "sampler: luck: must be quasi-random or tpe"),
        Case(["bench", "sampler", "--objectives", "3"], "objectives: 3: must be 1 or 2"),
        Case(["bench", "sampler", "--trials", "1"], "trials: 1"),
        Case(["bench", "attention", "--pattern", "plaid"], "pattern: plaid"),
        Case(["bench", "attention", "--query-heads", "3"], "query-heads: 3"),
        Case(["bench", "attention", "--length", huge], "length: \(huge)"),
        Case(["bench", "attention", "--query-heads", huge], "query-heads: \(huge)"),
        Case(["bench", "attention", "--head-dimension", "0"], "head-dimension: 0"),
        Case(["bench", "attention", "--density", "0"], "density: 0.0"),
        Case(["bench", "attention", "--pattern", "openblas-tiles", "--precision", "bf16"], "openblas-tiles: is FP32 only"),
        Case(["bench", "selection", "--head-pattern", "dense"], "head-pattern: dense: must be stripe-window, column-slash or key-blocks"),
        Case(["bench", "selection", "--sample-ratio", "5"], "sample-ratio: 5.0"),
        Case(["bench", "gemm", "--shape", "4x4"], "shape: 4x4: must be ROWSxINPUTSxOUTPUTS"),
        Case(["bench", "gemm", "--shape", "4x0x4"], "shape: 4x0x4"),
        Case(["bench", "prefill", "--length", "1"], "length: 1"),
        Case(["bench", "backward", "--labels", "0"], "labels: 0"),
        Case(["sensitivity", "--draws", "0"], "draws: 0"),
        Case(["sensitivity", "--probes", "-1"], "probes: -1"),
        Case(["sensitivity", "--length", "32769"], "length: 32769"),
        Case(["bench", "decode", "--length", "0"], "length: 0"),
        Case(["bench", "decode", "--length", "32760"], "length: 32760: must leave room for 16 tokens in the model's 32768 positions"),
        Case(["bench", "decode", "--tokens", "32768"], "tokens: 32768: must be below the model's 32768 positions"),
        Case(["bench", "decode", "--cache", "int4"], "cache: int4: must be fp32, bf16 or int8"),
        Case(["bench", "decode", "--rounds", "0"], "rounds: 0"),
        Case(generate + ["--precision", "fp8"], "precision: fp8: must be one of auto, fp32, bf16"),
        Case(generate + ["--precision", ""], "precision: \"\": must be one of auto"),
    ]

    @Test(arguments: cases)
    func refusesTheOption(_ wrong: Case) throws {
        try expect(.usage, naming: wrong.parts, wrong.arguments)
    }

    /// --json behind --prompt is the prompt: failures of the parser and of the command are for people then.
    @Test func theValueOfAnOptionIsNoFlag() throws {
        for arguments in [["--prompt", "--json", "--frobnicate"], ["--prompt", "--json", "--top-p", "0"]] {
            let outcome = try Program.run(["generate"] + arguments)
            #expect(outcome.exitCode == Refusal.usage.rawValue && outcome.output.isEmpty, "\(outcome.output)")
            #expect(outcome.errors.hasPrefix("error: "), "\(outcome.errors)")
        }
    }

    @Test func refusesArgumentsThatAreNotUTF8() throws {
        for (arguments, place) in [("--prompt \"$bad\"", 3), ("--json --prompt \"$bad\"", 4)] {
            let outcome = try Program.shell("bad=$(printf 'caf\\351'); exec \"$program\" generate \(arguments)")
            #expect(outcome.exitCode == Refusal.usage.rawValue)
            let message = place == 3 ? outcome.errors : try (outcome.json()["error"] as? [String: String])?["message"] ?? ""
            #expect(message.contains("argument \(place): caf\u{FFFD}: must be UTF-8"), "\(message)")
        }
    }

    @Test func refusesAnUnknownCommand() throws {
        let outcome = try Program.run(["frobnicate"])
        #expect(outcome.exitCode == Refusal.usage.rawValue)
        #expect(outcome.errors.hasPrefix("error: command: frobnicate: must be one of profile, ") && outcome.output.isEmpty)
        let json = try Program.run(["frobnicate", "--json"]).json()["error"] as? [String: String]
        #expect(json?["message"]?.hasPrefix("command: frobnicate: must be one of") == true)
    }
}
