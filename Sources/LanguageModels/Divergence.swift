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
    /// Complexity: the scores of every position, twice without `referenceLogits`; memory of two tiles of logits.
    func divergence(
        of hidden: UnsafePointer<Float>, from reference: UnsafePointer<Float>, tokens: [Int32], referenceLogits: UnsafePointer<Float>? = nil
    ) throws(InputError) -> Divergence {
        let tile = 2 * PackedMatrix.tileRows
        let vocabulary = description.vocabularySize
        let logits = try AlignedBuffer<Float>(extents: 2 * tile, vocabulary, of: "scores of \(2 * tile) positions")
        let rooms = AlignedBuffer<Float>(count: kernel.pool.threads * vocabulary)
        let rows = AlignedBuffer<RowDivergence>(count: tokens.count)
        let (q, p) = (SharedPointer(logits.base), SharedPointer(logits.base + tile * vocabulary))
        let (room, opinions) = (SharedPointer(rooms.base), SharedPointer(rows.base))
        for start in stride(from: 0, to: tokens.count, by: tile) {
            let count = min(tile, tokens.count - start)
            try scores(hidden: hidden + start * description.hiddenSize, rows: count, firstPosition: start, into: q.base)
            if let referenceLogits {
                p.base.update(from: referenceLogits + start * vocabulary, count: count * vocabulary)
            } else {
                try scores(hidden: reference + start * description.hiddenSize, rows: count, firstPosition: start, into: p.base)
            }
            kernel.pool.run(count) { worker, row in
                let position = start + row
                opinions.base[position] = RowDivergence(
                    q.base + row * vocabulary, from: p.base + row * vocabulary, difference: room.base + worker * vocabulary,
                    count: vocabulary, target: position + 1 < tokens.count ? Int(tokens[position + 1]) : 0, kernels: kernel.rowKernels)
            }
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

/// One position's two distributions, from their logits, which are overwritten.
private struct RowDivergence {
    let divergence, logProbability, referenceLogProbability: Float
    let choice, referenceChoice: Int32

    /// - Parameter isLast: no token follows whose probability would count.
    func isFinite(isLast: Bool) -> Bool {
        divergence.isFinite && (isLast || logProbability.isFinite && referenceLogProbability.isFinite)
    }

    /// KL(p ‖ q) = Σ p_i (log p_i − log q_i) = Σ p_i (a_i − b_i) − log Σ exp a_i + log Σ exp b_i, a and b the logits of p and q.
    init(
        _ q: UnsafeMutablePointer<Float>, from p: UnsafeMutablePointer<Float>, difference: UnsafeMutablePointer<Float>, count: Int,
        target: Int, kernels: RowKernels
    ) {
        for index in 0..<count { difference[index] = p[index] - q[index] }
        let (ownTarget, referenceTarget) = (q[target], p[target])
        let own = LogitRow(exponentiating: q, count: count, kernels: kernels)
        let reference = LogitRow(exponentiating: p, count: count, kernels: kernels)
        var weighted: Float = 0
        for index in 0..<count { weighted += p[index] * difference[index] }
        divergence = weighted / reference.sum - reference.logSumExp + own.logSumExp
        logProbability = ownTarget - own.logSumExp
        referenceLogProbability = referenceTarget - reference.logSumExp
        (choice, referenceChoice) = (own.choice, reference.choice)
    }
}
