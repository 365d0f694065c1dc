import ArgumentParser
import AttentionCore
import AttentionKernels
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

    struct Row: BenchRow {
        let cache, precision, isa: String
        let threads, length: Int
        let milliseconds, millisecondsLeast, millisecondsMost, attentionMilliseconds: Double
        /// Of keys and values, during attention.
        let gigabytesPerSecond: Double
        /// Of the cache, for as many positions and a round's tokens.
        let cacheBytes: Int
        let maxError: Double

        static let titles = ["cache", "positions", "ms/token", "least", "most", "attention ms", "GB/s", "MiB"]
        var cells: [String] {
            [
                cache, "\(length)", NumberFormat.fixed(milliseconds, decimals: 3), NumberFormat.fixed(millisecondsLeast, decimals: 3),
                NumberFormat.fixed(millisecondsMost, decimals: 3), NumberFormat.fixed(attentionMilliseconds, decimals: 3),
                NumberFormat.fixed(gigabytesPerSecond, decimals: 1), NumberFormat.fixed(Double(cacheBytes) / 0x1p20, decimals: 1),
            ]
        }
    }

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        _ = try ParameterOptions.count(tokens, "tokens", atLeast: 1)
        for length in length { _ = try ParameterOptions.count(length, "length", atLeast: 1) }
        let formats: [KeyValueCache.Format] = try cache.map { name throws(InputError) in try ParameterOptions.choice(name, "cache") }
        let session = try model.open()
        let lengths = try lengths(session)
        let timer = DecodeTimer(
            model: session.model, formats: formats.isEmpty ? KeyValueCache.Format.allCases : formats, rounds: rounds, tokens: tokens,
            seed: session.seed)
        let progress = ProgressBar("bench", total: lengths.count * (rounds + 1))
        defer { progress.finish() }
        let results = try lengths.flatMap { length in
            try timer.measure(length: length) { progress.advance(status: "\(length) positions") }
                .map { row($0, length: length, kernel: session.kernel) }
        }
        progress.finish()
        BenchResult(provenance: session.provenance(lengths: lengths), loadSeconds: session.loadSeconds, results: results)
            .show(json: session.json)
    }

    /// - Throws: `InputError` (`usage`) for a length that leaves no room for a round.
    private func lengths(_ session: Session) throws(InputError) -> [Int] {
        let most = session.model.configuration.maximumPositions
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

    private func row(_ timing: DecodeTimer.Result, length: Int, kernel: AttentionKernel) -> Row {
        let total = Timing(rounds: timing.milliseconds)
        let attention = Timing(rounds: timing.attentionMilliseconds).median
        return Row(
            cache: timing.format.rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
            threads: kernel.pool.threads, length: length, milliseconds: total.median, millisecondsLeast: total.least,
            millisecondsMost: total.most, attentionMilliseconds: attention,
            gigabytesPerSecond: Double(timing.bytesRead) / attention / 1e6, cacheBytes: timing.cacheBytes, maxError: timing.maxError)
    }
}

/// Times decoding on caches of several formats, in turn, so that what else the machine does falls on all of them.
struct DecodeTimer {
    let model: LanguageModel
    let formats: [KeyValueCache.Format]
    let rounds: Int
    /// Of a round.
    let tokens: Int
    let seed: UInt64

    /// What one format took.
    struct Result {
        let format: KeyValueCache.Format
        /// A token, of each round: all of it, and in attention.
        var milliseconds, attentionMilliseconds: [Double]
        /// Keys and values that a token reads.
        let bytesRead: Int
        let cacheBytes: Int
        /// Of the scores, relative to the largest, beside a prefill of the same token.
        let maxError: Double
    }

    /// Decodes at `length` cached positions.
    ///
    /// - Parameter advance: called after each round of all formats, of which there is one more than is timed.
    /// - Throws: `InputError` as `TokenDecoder`, and `internalFailure` when scores are wrong, so that wrong ones are never timed.
    func measure(length: Int, advance: () -> Void) throws -> [Result] {
        var random = SeededGenerator(seed: seed)
        let vocabulary = UInt64(model.configuration.vocabularySize)
        let prompt = (0..<length).map { _ in Int32(random.next() % vocabulary) }
        let continuation = (0..<tokens).map { _ in Int32(random.next() % vocabulary) }
        let decoders = try formats.map { format in
            let (_, cache) = try model.prefill(
                prompt, newPositions: tokens, policy: .fixed(.window(tokens: 64, sinks: 4), name: "window"), settings: .init(format: format)
            )
            return try TokenDecoder(model: model, cache: cache)
        }
        var results = try zip(formats, decoders).map { format, decoder in
            Result(
                format: format, milliseconds: [], attentionMilliseconds: [], bytesRead: decoder.cache.bytesHeld,
                cacheBytes: decoder.cache.bytes, maxError: try error(of: decoder, token: continuation[0]))
        }
        for round in 0...rounds {
            for (index, decoder) in decoders.enumerated() {
                let (start, attended) = (ContinuousClock.now, decoder.attentionSeconds)
                for token in continuation { try decoder.append(token) }
                let perToken = 1e3 / Double(tokens)
                if round > 0 {
                    results[index].milliseconds.append((ContinuousClock.now - start).seconds * perToken)
                    results[index].attentionMilliseconds.append((decoder.attentionSeconds - attended) * perToken)
                }
                decoder.cache.removeLast(tokens)
            }
            advance()
        }
        return results
    }

    private func error(of decoder: TokenDecoder, token: Int32) throws -> Double {
        let expected = try model.prefill([token], cache: decoder.cache, policy: .dense).logits
        decoder.cache.removeLast(1)
        try decoder.append(token)
        decoder.cache.removeLast(1)
        let largest = expected.reduce(0) { max($0, abs($1)) }
        let differences = zip(decoder.logits, expected).map { Double(abs($0 - $1) / largest) }
        // `max` would pass over what is not a number.
        let error = differences.contains { $0.isNaN } ? .infinity : differences.max() ?? 0
        // Sums are added up in another order; BF16 may then round an operand of a later layer the other way.
        let limit = model.kernel.precision == .fp32 ? 1e-3 : 0.1
        guard error < limit else {
            throw InputError(.internalFailure, field: "logits", value: "\(error)", rule: "must agree with a prefill's to \(limit)")
        }
        return error
    }
}
