import AttentionCore
import AttentionKernels
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import SampleAttention

/// Times decoding on caches of several formats, in turn, so that what else the machine does falls on all of them.
package struct DecodeBench {
    let model: LanguageModel
    let formats: [KeyValueCache.Format]
    let rounds: Int
    /// Of a round.
    let tokens: Int
    let seed: UInt64

    package init(model: LanguageModel, formats: [KeyValueCache.Format], rounds: Int, tokens: Int, seed: UInt64) {
        (self.model, self.formats, self.rounds, self.tokens, self.seed) = (model, formats, rounds, tokens, seed)
    }

    package struct Row: BenchRow {
        let cache, precision, isa: String
        let threads, length: Int
        let milliseconds, millisecondsLeast, millisecondsMost, attentionMilliseconds: Double
        /// Of keys and values, during attention.
        let gigabytesPerSecond: Double
        /// Of the cache, for as many positions and a round's tokens.
        let cacheBytes: Int
        let maxError: Double

        package static let titles = ["cache", "positions", "ms/token", "least", "most", "attention ms", "GB/s", "MiB"]
        package var cells: [String] {
            [
                cache, "\(length)", NumberFormat.fixed(milliseconds, decimals: 3), NumberFormat.fixed(millisecondsLeast, decimals: 3),
                NumberFormat.fixed(millisecondsMost, decimals: 3), NumberFormat.fixed(attentionMilliseconds, decimals: 3),
                NumberFormat.fixed(gigabytesPerSecond, decimals: 1), NumberFormat.fixed(Double(cacheBytes) / 0x1p20, decimals: 1),
            ]
        }
    }

    /// What one format took.
    private struct Result {
        let format: KeyValueCache.Format
        /// A token, of each round: all of it, and in attention.
        var milliseconds, attentionMilliseconds: [Double]
        /// Keys and values that a token reads.
        let bytesRead: Int
        let cacheBytes: Int
        /// Of the scores, relative to the largest, beside a prefill of the same token.
        let maxError: Double
    }

    /// Decodes at `length` cached positions: a row a format.
    ///
    /// - Parameter advance: called after each round of all formats, of which there is one more than is timed.
    /// - Throws: `InputError` as `TokenDecoder`, and `internalFailure` when scores are wrong, so that wrong ones are never timed.
    package func run(length: Int, advance: () -> Void) throws -> [Row] {
        var random = SeededGenerator(seed: seed)
        let vocabulary = UInt64(model.description.vocabularySize)
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
        return results.map { row($0, length: length) }
    }

    private func row(_ timing: Result, length: Int) -> Row {
        let kernel = model.kernel
        let total = Timing(rounds: timing.milliseconds)
        let attention = Timing(rounds: timing.attentionMilliseconds).median
        return Row(
            cache: timing.format.rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
            threads: kernel.pool.threads, length: length, milliseconds: total.median, millisecondsLeast: total.least,
            millisecondsMost: total.most, attentionMilliseconds: attention,
            gigabytesPerSecond: Double(timing.bytesRead) / attention / 1e6, cacheBytes: timing.cacheBytes, maxError: timing.maxError)
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
