import Foundation

/// One layer of a decoder.
public struct LayerDescription: Hashable, Sendable {
    public var attention: AttentionDescription
    public var feedForward: FeedForwardDescription
    public var order = LayerOrder.sequential(normsBefore: true, normsAfter: false)
    /// What each branch is multiplied by when it is added to the residual stream.
    public var residualScale = 1.0
}

/// Where the norms N of a layer stand; A is its attention, M its feed-forward.
public enum LayerOrder: Hashable, Sendable {
    /// x += N₂(A(N₁(x))), x += N₄(M(N₃(x))): N₁ and N₃ are there where `normsBefore`, N₂ and N₄ where `normsAfter`.
    case sequential(normsBefore: Bool, normsAfter: Bool)
    /// y = N(x), x += A(y) + M(y).
    case parallel

    public var normsBefore: Bool {
        if case .sequential(let before, _) = self { before } else { true }
    }

    public var normsAfter: Bool {
        if case .sequential(_, let after) = self { after } else { false }
    }
}

/// The attention of one layer: scores = cap(`scoreScale` · q · k), softmax over the keys in sight.
public struct AttentionDescription: Hashable, Sendable {
    /// What normalises queries and keys before they are rotated.
    public enum QueryKeyNorm: Hashable, Sendable {
        /// Each head's vector on its own, all with the same weights [headDimension].
        case perHead
        /// All heads' vectors together, with weights [heads · headDimension].
        case acrossHeads
    }

    /// 1/√d in most models.
    public var scoreScale: Double
    /// Of the query, key and value projections.
    public var hasInputBias = false
    /// Of the output projection.
    public var hasOutputBias = false
    public var queryKeyNorm: QueryKeyNorm?
    /// nil where positions are not marked.
    public var rotary: RotaryDescription?
    /// How rotated queries grow with their position.
    public var positionScale: PositionScale?
    /// A key is seen by the queries at its own and the `window` − 1 positions after it; nil means by all after it. Units: tokens.
    public var window: Int?
    /// c in c · tanh(score / c).
    public var softCap: Double?
    /// Each query head has a logit of its own that enters the softmax beside the scores, as if of a key whose value is zero.
    public var hasSinks = false
}

/// A query at position p is multiplied by 1 + β · ln(1 + ⌊p / length⌋).
/// Source: the attention temperature of Llama 4's and Ministral 3's reference implementations.
public struct PositionScale: Hashable, Sendable {
    public var beta: Double
    /// Units: tokens.
    public var length: Int

    func scale(position: Int) -> Double { 1 + beta * log(1 + Double(position / length)) }
}
