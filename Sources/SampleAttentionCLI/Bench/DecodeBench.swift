import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench decode`: how long a generated token takes, by cached positions and the cache's format.
struct DecodeBenchCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Time a model's decoding at given cached positions, the cache's formats in turn.",
        discussion: """
            Milliseconds a token are medians of rounds of several tokens, each from the same positions on; GB/s are of keys and values read, over the time in attention. \
            The cache is filled by a prefill of random tokens in which every row sees a window of 64: what is in it takes no part in the time. \
            Before, the scores after one token are compared with those of a prefill of this token on the same cache.
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "Cached positions when a round begins; repeatable (default: 1024 and 16384, as far as the model goes).")
    var length: [Int] = []

    @Option(help: "Format of the cache: \(ParameterOptions.choices(of: KeyValueCache.Format.self)); repeatable (default: all).")
    var cache: [String] = []

    @Option(help: "Timed rounds; an untimed one goes before.")
    var rounds = 7

    @Option(help: "Tokens a round.")
    var tokens = 16

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        _ = try ParameterOptions.count(tokens, "tokens", atLeast: 1)
        for length in length { _ = try ParameterOptions.count(length, "length", atLeast: 1) }
        let formats: [KeyValueCache.Format] = try cache.map { name throws(InputError) in try ParameterOptions.choice(name, "cache") }
        let session = try model.open()
        let lengths = try lengths(session)
        let bench = DecodeBench(
            model: session.model, formats: formats.isEmpty ? KeyValueCache.Format.allCases : formats, rounds: rounds, tokens: tokens,
            seed: session.seed)
        let progress = ProgressBar("bench", total: lengths.count * (rounds + 1))
        defer { progress.finish() }
        let results = try lengths.flatMap { length in
            try bench.run(length: length) { progress.advance(status: "\(length) positions") }
        }
        progress.finish()
        BenchResult(provenance: session.provenance(lengths: lengths), loadSeconds: session.loadSeconds, results: results)
            .show(json: session.json)
    }

    /// - Throws: `InputError` (`usage`) for a length that leaves no room for a round.
    private func lengths(_ session: Session) throws(InputError) -> [Int] {
        let most = session.model.description.maximumPositions
        let longest = most - tokens
        for length in length where length > longest {
            throw InputError(
                .usage, field: "length", value: "\(length)", rule: "must leave room for \(tokens) tokens in the model's \(most) positions")
        }
        let known = length.isEmpty ? [1024, 16384].filter { $0 <= longest } : length
        guard known.isEmpty else { return known }
        guard longest >= 1 else {
            throw InputError(.usage, field: "tokens", value: "\(tokens)", rule: "must be below the model's \(most) positions")
        }
        return [longest]
    }
}
