/// A claim of the form: the masked output differs from the dense one by at most (1 − r) · c, with c from the values alone.
///
/// The norm is the L1 norm of a row, and for a whole head the largest over its rows; 1 − r is then the row's dropped mass,
/// or for the head 1 − CRA, where CRA (cumulative residual attention) is the smallest retained mass of any row.
///
/// Contract: `errorPerDroppedMass` is finite and not negative. `valid` says whether the claim is proved; a claim that is
/// not is kept to be measured, and never used to choose a mask.
public protocol OutputErrorBound: Sendable {
    /// A short name for tables and JSON.
    var name: String { get }
    /// True when the claim is a theorem for `output`.
    var valid: Bool { get }
    /// The claim in one sentence, with its formula and norm.
    var statement: String { get }
    /// Which masked output the claim is about.
    var output: OutputForm { get }
    /// c, the largest error per unit of dropped mass. Units: those of the values.
    func errorPerDroppedMass(_ values: ValueExtent) -> Double
}

extension OutputErrorBound {
    /// (1 − r) · c for a row, (1 − CRA) · c for a head.
    public func bound(droppedMass: Double, values: ValueExtent) -> Double {
        droppedMass * errorPerDroppedMass(values)
    }

    /// The largest dropped mass, in (0, 1], for which the bound promises an error of at most ε: min(1, ε / c).
    ///
    /// Traps for a claim that is not valid: it promises nothing.
    public func largestDroppedMass(error: ErrorTolerance, values: ValueExtent) -> Double {
        precondition(valid, "no mask follows from a claim that is not a theorem")
        let factor = errorPerDroppedMass(values)
        return error.value >= factor ? 1 : error.value / factor
    }

    /// The CRA that suffices for an error of at most ε: α = max(0, 1 − ε / c), in [0, 1]. 0 asks for nothing.
    public func alpha(error: ErrorTolerance, values: ValueExtent) -> Double { 1 - largestDroppedMass(error: error, values: values) }
}

/// ‖o − õ‖₁ ≤ (1 − CRA)·R, since o − õ = (1 − r)·μ_dropped and a mean of value rows has norm at most R. Tight.
///
/// Source: SampleAttention (arXiv 2406.15486), Theorems 1 and 2.
public struct UnrenormalisedBound: OutputErrorBound {
    public init() {}
    public var name: String { "unrenormalised" }
    public var valid: Bool { true }
    public var output: OutputForm { .unrenormalised }
    public var statement: String {
        "max over rows of the L1 error of the un-renormalised output P̃V is at most (1 − CRA)·R, R = max_j ‖V_j‖₁"
    }
    public func errorPerDroppedMass(_ values: ValueExtent) -> Double { values.radius }
}

/// ‖o − ô‖₁ ≤ 2(1 − CRA)·R, since ‖P̂ − P‖₁ = 2(1 − r) exactly. Tight when values are symmetric about the origin.
public struct RenormalisedRadiusBound: OutputErrorBound {
    public init() {}
    public var name: String { "renormalised-radius" }
    public var valid: Bool { true }
    public var output: OutputForm { .renormalised }
    public var statement: String {
        "max over rows of the L1 error of the renormalised output is at most 2(1 − CRA)·R, R = max_j ‖V_j‖₁"
    }
    public func errorPerDroppedMass(_ values: ValueExtent) -> Double { 2 * values.radius }
}

/// ‖o − ô‖₁ ≤ (1 − CRA)·D, since o − ô = (1 − r)(μ_dropped − μ_kept) and two means of value rows are at most D apart.
/// Tight; never above the radius form, and unlike it unchanged when a constant is added to every value row.
public struct RenormalisedDiameterBound: OutputErrorBound {
    public init() {}
    public var name: String { "renormalised-diameter" }
    public var valid: Bool { true }
    public var output: OutputForm { .renormalised }
    public var statement: String {
        "max over rows of the L1 error of the renormalised output is at most (1 − CRA)·D, D = max_jk ‖V_j − V_k‖₁"
    }
    public func errorPerDroppedMass(_ values: ValueExtent) -> Double { values.diameter }
}

/// (1 − CRA)·R read for the renormalised output. **Not valid**: see `counterexample`, which exceeds it twofold.
public struct RenormalisedFactorOneBound: OutputErrorBound {
    public init() {}
    public var name: String { "renormalised-factor-one" }
    public var valid: Bool { false }
    public var output: OutputForm { .renormalised }
    public var statement: String {
        "NOT valid: max over rows of the L1 error of the renormalised output against (1 − CRA)·R; "
            + "P = [.9, .1], M = [1, 0], V = [1; −1] has error .2 against .1"
    }
    public func errorPerDroppedMass(_ values: ValueExtent) -> Double { values.radius }

    /// P = [.9, .1], M = [1, 0], V = [1; −1]: o = .8, ô = 1, error .2, while (1 − r)·R = .1.
    public static var counterexample: Counterexample {
        Counterexample(probabilities: [0.9, 0.1], kept: [true, false], values: [1, -1])
    }

    /// One row of attention with scalar values. Shapes: probabilities, kept, values [keys].
    public struct Counterexample: Hashable, Sendable {
        public let probabilities: [Double]
        public let kept: [Bool]
        public let values: [Double]
    }
}

/// The bounds that are checked unless the caller names others.
public enum StandardBounds {
    /// The three valid bounds, then the factor-one reading that is not.
    public static var all: [any OutputErrorBound] {
        [UnrenormalisedBound(), RenormalisedRadiusBound(), RenormalisedDiameterBound(), RenormalisedFactorOneBound()]
    }
}
