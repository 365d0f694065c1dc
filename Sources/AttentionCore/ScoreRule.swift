/// What a layer does to scores besides the usual softmax of s = q · k / √d: caps them, and lets a logit of each head's own take a share.
///
/// With cap c: s becomes c · tanh(s / c) (Gemma 2, arXiv 2408.00118). With a head's sink logit z, row i's output is
/// Σ_j exp(s_ij) v_j / (exp(z) + Σ_j exp(s_ij)), as if z were the score of a key that all rows see and whose value is zero (gpt-oss,
/// arXiv 2508.10925). Masses and log-sum-exps are those of the real keys alone: a mass that a pattern retains of them is retained of all
/// keys too, the sink among them, because every pattern keeps the sink. `ErrorBounds`, which compares outputs in double precision, counts the
/// sink as such a key.
public struct ScoreRule: Hashable, Sendable {
    /// c; nil leaves scores as they are.
    public let softCap: Double?
    /// z of each query head, natural logarithms; nil where there are none.
    public let sinks: [Float]?

    /// - Precondition: the cap is positive.
    public init(softCap: Double? = nil, sinks: [Float]? = nil) {
        precondition(softCap.map { $0 > 0 } ?? true, "a cap is positive")
        self.softCap = softCap
        self.sinks = sinks
    }

    /// Neither.
    public static let standard = ScoreRule()

    /// Of one query head alone.
    public func ofHead(_ head: Int) -> ScoreRule { ScoreRule(softCap: softCap, sinks: sinks.map { [$0[head]] }) }

    /// The same scores without sinks, for sums that are put together later.
    public var withoutSinks: ScoreRule { ScoreRule(softCap: softCap) }
}
