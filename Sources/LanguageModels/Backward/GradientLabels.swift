/// The labels y whose log-probabilities, summed over positions, a backward pass takes the gradient of: Σ_t log p(y_t | tokens up to t).
public struct GradientLabels: Sendable {
    enum Source: Sendable {
        case text
        case given([Int32])
        case drawn(seed: UInt64)
    }

    let source: Source
    /// The positions t that count, ascending; nil counts all that have a label.
    public var positions: [Range<Int>]?

    /// The token that follows in the text; the last position has none. The gradient says how the text's loss changes, to first order.
    public static var text: GradientLabels { GradientLabels(source: .text, positions: nil) }

    /// A label of each position.
    public static func given(_ labels: [Int32]) -> GradientLabels { GradientLabels(source: .given(labels), positions: nil) }

    /// Each position's label drawn from the model's own distribution there. With g the gradient at some point of the model and δ a small
    /// change there, the mean of ½ (g · δ)² over draws is the KL divergence that the change causes, to second order: Fisher information.
    public static func drawn(seed: UInt64) -> GradientLabels { GradientLabels(source: .drawn(seed: seed), positions: nil) }
}
