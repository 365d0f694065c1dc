import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism
import SampleAttention

extension LanguageModel {
    /// The model's opinion at every position of a text.
    public struct TokenScores: Sendable {
        /// log p(token i + 1 | tokens 0 … i), natural logarithm; one fewer than the tokens.
        public let nextLogProbabilities: [Float]
        /// The most likely token after tokens 0 … i.
        public let firstChoices: [Int32]
        /// Of the prefill alone: the scores of every position are not in its seconds.
        public let report: PrefillReport

        /// Mean negative log-likelihood a token, in nats.
        public var negativeLogLikelihood: Double {
            -nextLogProbabilities.reduce(0.0) { $0 + Double($1) } / Double(max(1, nextLogProbabilities.count))
        }
    }

    /// Scores every position in one prefill. Memory beside the prefill's: a tile of logits a thread.
    ///
    /// - Parameter format: of the keys and values that every layer reads; nil is `standardCacheFormat`.
    /// - Throws: as `prefill`.
    public func score(
        _ tokens: [Int32], policy: AttentionPolicy, chunk: Int? = nil, format: KeyValueCache.Format? = nil
    ) throws -> TokenScores {
        let start = ContinuousClock.now
        let cache = try makeCache(capacity: tokens.count, format: format)
        let next = AlignedBuffer<Float>(count: tokens.count)
        let choices = AlignedBuffer<Int32>(count: tokens.count)
        var observer = NoObserver()
        var first = 0
        var scoring = Duration.zero
        var report = try run(tokens, cache: cache, policy: policy, chunk: chunk, since: start, observer: &observer) { hidden, rows, _ in
            let began = ContinuousClock.now
            let targets = (0..<rows).map { first + $0 + 1 < tokens.count ? tokens[first + $0 + 1] : 0 }
            try scoreRows(
                hidden, firstPosition: first, targets: targets, logProbabilities: next.base + first, choices: choices.base + first)
            first += rows
            scoring += ContinuousClock.now - began
        }
        report.seconds -= scoring.seconds
        let known = Array(next.elements.dropLast())
        // Finite scores can be further apart than FP32 has numbers.
        if let position = known.firstIndex(where: { !$0.isFinite }) {
            throw unusable("log-probability of token \(tokens[position + 1]) after token \(position)", known[position])
        }
        return TokenScores(
            nextLogProbabilities: known, firstChoices: Array(choices.elements), report: report)
    }

    private func scoreRows(
        _ hidden: UnsafePointer<Float>, firstPosition: Int, targets: [Int32], logProbabilities: UnsafeMutablePointer<Float>,
        choices: UnsafeMutablePointer<Int32>
    ) throws(InputError) {
        let tile = scoredRows(of: targets.count)
        let vocabulary = description.vocabularySize
        let kernels = kernel.rowKernels
        let logits = try AlignedBuffer<Float>(extents: tile, vocabulary, of: "scores of \(tile) positions")
        let rooms = decoder.makeLogitBuffers()
        for start in stride(from: 0, to: targets.count, by: tile) {
            let rows = min(tile, targets.count - start)
            decoder.logits(hidden: hidden + start * description.hiddenSize, rows: rows, into: logits.base, rooms: rooms)
            let work = RowScores(logits: logits.base, logProbabilities: logProbabilities + start, choices: choices + start)
            let areFinite = kernel.pool.map(rows) { row in
                work.score(row, vocabulary: vocabulary, target: Int(targets[start + row]), kernels: kernels)
            }
            try checkFinite(areFinite, scores: logits.base, firstPosition: firstPosition + start)
        }
    }

    /// How many positions' scores, of so many, are worked on together: enough for every worker, in 64 MiB where that is possible.
    func scoredRows(of count: Int) -> Int {
        let least = 2 * Decoder.tileRows
        let affordable = (64 << 20) / (description.vocabularySize * MemoryLayout<Float>.stride)
        return min(count, max(least, min(Decoder.tileRows * kernel.pool.threads, affordable)))
    }

    /// Next-token scores of rows of `hidden`, the first of them after the prompt's token `firstPosition`: [rows][vocabulary].
    ///
    /// - Throws: `InputError` (`invalidData`) where one is not finite: it must not be taken for an answer.
    func scores(
        hidden: UnsafePointer<Float>, rows: Int, firstPosition: Int, into logits: UnsafeMutablePointer<Float>
    ) throws(InputError) {
        decoder.logits(hidden: hidden, rows: rows, into: logits, rooms: decoder.makeLogitBuffers())
        let vocabulary = description.vocabularySize
        let scores = SharedPointer(logits)
        let areFinite = kernel.pool.map(rows) { row in
            UnsafeBufferPointer(start: scores.base + row * vocabulary, count: vocabulary).areFinite
        }
        try checkFinite(areFinite, scores: logits, firstPosition: firstPosition)
    }

    /// - Parameter scores: [rows][vocabulary], those of rows that are not finite as they were computed.
    /// - Throws: `InputError` (`invalidData`) naming the first score that is not finite.
    func checkFinite(_ areFinite: [Bool], scores: UnsafePointer<Float>, firstPosition: Int) throws(InputError) {
        guard let row = areFinite.firstIndex(of: false) else { return }
        let vocabulary = description.vocabularySize
        try checkFinite(scores: UnsafeBufferPointer(start: scores + row * vocabulary, count: vocabulary), position: firstPosition + row)
    }

    /// - Throws: `InputError` (`invalidData`) where a score of the token after the prompt's token `position` is not finite.
    func checkFinite(scores: UnsafeBufferPointer<Float>, position: Int) throws(InputError) {
        guard !scores.areFinite, let token = scores.firstIndex(where: { !$0.isFinite }) else { return }
        throw unusable("score of token \(token) after token \(position)", scores[token])
    }

    /// What weights lead to that are finite themselves.
    func unusable(_ field: String, _ value: Float) -> InputError {
        InputError(
            .invalidData, file: files.path, field: field, value: value.isNaN ? "NaN" : "\(value)",
            rule: "must be finite: the weights are too large for FP32")
    }
}

extension UnsafeBufferPointer<Float> {
    /// True when none is infinite or NaN: one pass without branches, which compilers make vectors of.
    var areFinite: Bool {
        var largest: UInt32 = 0
        for value in self { largest = Swift.max(largest, value.bitPattern & 0x7FFF_FFFF) }
        return largest < 0x7F80_0000
    }
}

/// Log-softmax and first choice of rows of logits; each row is written by one worker.
private struct RowScores: @unchecked Sendable {
    let logits: UnsafeMutablePointer<Float>
    let logProbabilities: UnsafeMutablePointer<Float>
    let choices: UnsafeMutablePointer<Int32>

    /// False, and the logits as they were, where one is not finite.
    func score(_ row: Int, vocabulary: Int, target: Int, kernels: RowKernels) -> Bool {
        let values = logits + row * vocabulary
        guard UnsafeBufferPointer(start: values, count: vocabulary).areFinite else { return false }
        let wanted = values[target]
        let sums = LogitRow(exponentiating: values, count: vocabulary, kernels: kernels)
        choices[row] = sums.choice
        logProbabilities[row] = wanted - sums.logSumExp
        return true
    }
}

/// The first choice and the normaliser of one row of logits.
struct LogitRow {
    let choice: Int32
    /// Σ exp(logit − the largest logit).
    let sum: Float
    /// log Σ exp(logit).
    let logSumExp: Float

    /// Each logit becomes exp(logit − the largest logit).
    init(exponentiating logits: UnsafeMutablePointer<Float>, count: Int, kernels: RowKernels) {
        let best = Self.firstLargest(logits, count: count)
        choice = Int32(best)
        let highest = logits[best]
        let log2e: Float = 1.4426950408889634
        for index in 0..<count { logits[index] *= log2e }
        sum = kernels.exponentiate(logits, count: count, maximum: logits[best])
        logSumExp = highest + base2Logarithm(sum) / log2e
    }

    /// Which of some finite numbers is the largest; of several the first.
    ///
    /// As integers in the order of the numbers, for compilers make vectors of their comparisons, and rows are as long as a vocabulary.
    private static func firstLargest(_ values: UnsafePointer<Float>, count: Int) -> Int {
        func key(_ index: Int) -> Int32 {
            let bits = Int32(bitPattern: values[index].bitPattern)
            return bits ^ (bits >> 31 & .max)
        }
        let block = 64
        var (largest, place) = (Int32.min, 0)
        for start in stride(from: 0, to: count, by: block) {
            var most = Int32.min
            for index in start..<Swift.min(start + block, count) { most = Swift.max(most, key(index)) }
            if most > largest { (largest, place) = (most, start) }
        }
        while key(place) != largest { place += 1 }
        return place
    }
}
