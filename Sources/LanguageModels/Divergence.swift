import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism

/// How one run's next-token distributions q differ from a reference run's p, at every position of a text.
public struct Divergence: Sendable {
    /// KL(p ‖ q) in nats after each token: [tokens], at least 0 but for rounding.
    public let divergences: [Float]
    /// log q of the token that follows, natural logarithm; one fewer than the tokens.
    public let logProbabilities: [Float]
    /// log p of the same tokens.
    public let referenceLogProbabilities: [Float]
    /// The most likely token after each token, by q and by p.
    public let choices, referenceChoices: [Int32]

    public init(
        divergences: [Float], logProbabilities: [Float], referenceLogProbabilities: [Float], choices: [Int32], referenceChoices: [Int32]
    ) {
        self.divergences = divergences
        self.logProbabilities = logProbabilities
        self.referenceLogProbabilities = referenceLogProbabilities
        self.choices = choices
        self.referenceChoices = referenceChoices
    }

    /// Mean of KL(p ‖ q) over positions, in nats.
    public var meanDivergence: Double { Self.mean(divergences) }
    /// Mean loss of the run, in nats a token.
    public var negativeLogLikelihood: Double { -Self.mean(logProbabilities) }

    /// The share of positions with the same first choice.
    public var agreement: Double { Double(zip(choices, referenceChoices).count { $0 == $1 }) / Double(max(1, choices.count)) }

    private static func mean(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) } / Double(max(1, values.count)) }
}

extension LanguageModel {
    /// Compares final hidden states, [tokens][hidden] each.
    ///
    /// - Parameter referenceLogits: [tokens][vocabulary] of `reference`, when they are at hand; finite.
    /// - Throws: `InputError` (`invalidData`) where a score is not finite.
    /// Complexity: the scores of every position, twice without `referenceLogits`; memory of as many tiles of logits.
    func divergence(
        of hidden: UnsafePointer<Float>, from reference: UnsafePointer<Float>, tokens: [Int32], referenceLogits: UnsafePointer<Float>? = nil
    ) throws(InputError) -> Divergence {
        let tile = scoredRows(of: tokens.count)
        let vocabulary = description.vocabularySize
        let size = description.hiddenSize
        let purpose = "scores of \(tile) positions"
        let own = try AlignedBuffer<Float>(extents: tile, vocabulary, of: purpose)
        let others = try AlignedBuffer<Float>(extents: referenceLogits == nil ? tile : 0, vocabulary, of: purpose)
        let rooms = AlignedBuffer<Float>(count: kernel.pool.threads * vocabulary)
        let packed = decoder.makeLogitBuffers()
        let rows = AlignedBuffer<RowDivergence>(count: tokens.count)
        let (q, room, opinions) = (SharedPointer(own.base), SharedPointer(rooms.base), SharedPointer(rows.base))
        for start in stride(from: 0, to: tokens.count, by: tile) {
            let count = min(tile, tokens.count - start)
            decoder.logits(hidden: hidden + start * size, rows: count, into: own.base, rooms: packed)
            if referenceLogits == nil { decoder.logits(hidden: reference + start * size, rows: count, into: others.base, rooms: packed) }
            let known = referenceLogits.map { $0 + start * vocabulary } ?? UnsafePointer(others.base)
            let p = SharedPointer(UnsafeMutablePointer(mutating: known))
            let areFinite = AlignedBuffer<Bool>(count: 2 * count)
            let areChecked = referenceLogits != nil
            let marks = SharedPointer(areFinite.base)
            kernel.pool.run(count) { worker, row in
                let position = start + row
                let (own, other) = (q.base + row * vocabulary, UnsafePointer(p.base + row * vocabulary))
                marks.base[row] = UnsafeBufferPointer(start: own, count: vocabulary).areFinite
                // Those at hand were checked when they were computed.
                marks.base[count + row] = areChecked || UnsafeBufferPointer(start: other, count: vocabulary).areFinite
                guard marks.base[row], marks.base[count + row] else { return }
                opinions.base[position] = RowDivergence(
                    own, from: other, room: room.base + worker * vocabulary, count: vocabulary,
                    target: position + 1 < tokens.count ? Int(tokens[position + 1]) : 0, kernels: kernel.rowKernels)
            }
            let finite = Array(areFinite.elements)
            try checkFinite(Array(finite[..<count]), scores: own.base, firstPosition: start)
            try checkFinite(Array(finite[count...]), scores: known, firstPosition: start)
        }
        let results = Array(rows.elements)
        // Finite scores can be further apart than FP32 has numbers.
        if let position = results.indices.first(where: { !results[$0].isFinite(isLast: $0 == tokens.count - 1) }) {
            throw unusable("divergence after token \(position)", results[position].divergence)
        }
        return Divergence(
            divergences: results.map(\.divergence), logProbabilities: results.dropLast().map(\.logProbability),
            referenceLogProbabilities: results.dropLast().map(\.referenceLogProbability), choices: results.map(\.choice),
            referenceChoices: results.map(\.referenceChoice))
    }
}

/// One position's two distributions, from their logits.
private struct RowDivergence {
    let divergence, logProbability, referenceLogProbability: Float
    let choice, referenceChoice: Int32

    /// - Parameter isLast: no token follows whose probability would count.
    func isFinite(isLast: Bool) -> Bool {
        divergence.isFinite && (isLast || logProbability.isFinite && referenceLogProbability.isFinite)
    }

    /// KL(p ‖ q) = Σ p_i (log p_i − log q_i) = Σ p_i (a_i − b_i) − log Σ exp a_i + log Σ exp b_i, a and b the logits of p and q.
    ///
    /// - Parameters:
    ///   - q: logits, which are overwritten.
    ///   - room: of `count` floats.
    init(
        _ q: UnsafeMutablePointer<Float>, from p: UnsafePointer<Float>, room: UnsafeMutablePointer<Float>, count: Int,
        target: Int, kernels: RowKernels
    ) {
        let (ownTarget, referenceTarget) = (q[target], p[target])
        room.update(from: p, count: count)
        let reference = LogitRow(exponentiating: room, count: count, kernels: kernels)
        let weighted = Self.sum(of: room, times: p, minus: q, count: count)
        let own = LogitRow(exponentiating: q, count: count, kernels: kernels)
        divergence = weighted / reference.sum - reference.logSumExp + own.logSumExp
        logProbability = ownTarget - own.logSumExp
        referenceLogProbability = referenceTarget - reference.logSumExp
        (choice, referenceChoice) = (own.choice, reference.choice)
    }

    /// Σ weights_i (p_i − q_i), in vectors.
    private static func sum(
        of weights: UnsafePointer<Float>, times p: UnsafePointer<Float>, minus q: UnsafePointer<Float>, count: Int
    ) -> Float {
        typealias Lanes = SIMD16<Float>
        func lanes(_ values: UnsafePointer<Float>, _ start: Int) -> Lanes {
            UnsafeRawPointer(values + start).loadUnaligned(as: Lanes.self)
        }
        let whole = count / Lanes.scalarCount * Lanes.scalarCount
        var sums = Lanes.zero
        for start in stride(from: 0, to: whole, by: Lanes.scalarCount) {
            sums += lanes(weights, start) * (lanes(p, start) - lanes(q, start))
        }
        var sum = sums.sum()
        for index in whole..<count { sum += weights[index] * (p[index] - q[index]) }
        return sum
    }
}
