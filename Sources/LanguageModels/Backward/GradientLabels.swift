/// What a backward pass takes the gradient of: a sum over positions t, of the log-probability of a label y_t or of a random mix of scores.
public struct GradientLabels: Sendable {
    enum Source: Sendable {
        case text
        case given([Int32])
        case fisher(seed: UInt64)
    }

    let source: Source
    /// The positions t that count, ascending; nil counts all that have a label.
    public var positions: [Range<Int>]?

    /// The token that follows in the text; the last position has none. The gradient says how the text's loss changes, to first order.
    public static var text: GradientLabels { GradientLabels(source: .text, positions: nil) }

    /// A label of each position.
    public static func given(_ labels: [Int32]) -> GradientLabels { GradientLabels(source: .given(labels), positions: nil) }

    /// Random square roots of the scores' Fisher information. With g the gradient at some point of the model and δ a small change there, the
    /// mean of ½ (g · δ)² over seeds is the KL divergence that the change causes, to second order; the mean of g is 0.
    ///
    /// At each position the gradient begins, in the scores, with √p ⊙ ξ − p (√p · ξ), where p is the model's distribution and ξ has random
    /// signs: its outer product has the mean diag(p) − p pᵀ, which is the Fisher information of scores. Labels drawn from p have the same mean,
    /// but where the model is sure nearly all draws say that nothing changes, and few say too much; here every label counts in
    /// every draw.
    /// Source: stochastic estimates of a matrix from products with random signs (Hutchinson 1990).
    public static func fisher(seed: UInt64) -> GradientLabels { GradientLabels(source: .fisher(seed: seed), positions: nil) }
}
