/// The feed-forward of one layer.
public enum FeedForwardDescription: Hashable, Sendable {
    /// down(act(gate(x)) · up(x)). Source: GLU variants (arXiv 2002.05202).
    case gated(width: Int, activation: Activation, hasBias: Bool)
    /// down(act(up(x))).
    case plain(width: Int, activation: Activation, hasBias: Bool)
    /// The weighted sum of a few gated feed-forwards that a router picks for each token.
    case experts(ExpertsDescription)

    /// Elements between up and down that one token passes, all active experts together.
    var activeWidth: Int {
        switch self {
        case .gated(let width, _, _), .plain(let width, _, _): width
        case .experts(let experts): experts.width * experts.active
        }
    }

    /// Weights that one token passes, the router's too.
    func activeWeights(hiddenSize: Int) -> Int {
        switch self {
        case .gated(let width, _, _): 3 * hiddenSize * width
        case .plain(let width, _, _): 2 * hiddenSize * width
        case .experts(let experts): hiddenSize * (3 * experts.width * experts.active + experts.count)
        }
    }

    /// Elements between up and down that are computed at a time.
    var width: Int {
        switch self {
        case .gated(let width, _, _), .plain(let width, _, _): width
        case .experts(let experts): experts.width
        }
    }
}

/// The nonlinear function of a feed-forward.
public enum Activation: Hashable, Sendable {
    /// x · sigmoid(x).
    case silu
    /// x · Φ(x) by its usual approximation with tanh (arXiv 1606.08415).
    case geluTanh
    /// max(x, 0)².
    case reluSquared
    /// min(x, limit) · sigmoid(slope · min(x, limit)), and what it gates is cut to ± limit and counted one higher.
    /// Source: gpt-oss's reference implementation.
    case clampedSwish(slope: Float, limit: Float)
}

/// A mixture of experts: the router scores every expert, the `active` best of them are run, and their outputs are added by their shares.
/// Source: arXiv 1701.06538.
public struct ExpertsDescription: Hashable, Sendable {
    /// How scores become shares.
    public enum Shares: Hashable, Sendable {
        /// Softmax over all experts; those of the active ones are divided by their sum where `normalised`.
        case softmaxOverAll(normalised: Bool)
        /// Softmax over the active experts' scores.
        case softmaxOverActive
    }

    public var count: Int
    public var active: Int
    /// Of each expert.
    public var width: Int
    public var activation: Activation
    /// Of the router and of every expert's projections.
    public var hasBias: Bool
    public var shares: Shares
}
