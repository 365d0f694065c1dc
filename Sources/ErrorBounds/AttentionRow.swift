/// What a mask did to one query row.
///
/// With P the row's dense softmax and K its kept keys: r = Σ_{j∈K} P_j, o = Σ_j P_j V_j (dense), õ = Σ_{j∈K} P_j V_j
/// (un-renormalised), ô = õ / r (renormalised, what a softmax over the kept keys gives). Errors are L1 norms.
public struct RowErrors: Hashable, Sendable {
    /// The query's index, 0 ..< queryCount.
    public var row: Int
    /// Keys the query sees, kept or not: its position + 1.
    public var causalKeys: Int
    /// Keys the mask keeps of these; at least 1.
    public var keptKeys: Int
    /// r, summed over the kept keys.
    public var retainedMass: Double
    /// 1 − r, summed over the dropped keys, so that a tiny dropped mass keeps its relative precision.
    public var droppedMass: Double
    /// ‖o − õ‖₁.
    public var unrenormalisedError: Double
    /// ‖o − ô‖₁.
    public var renormalisedError: Double
    /// ‖(o − õ) − (1−r)·μ_dropped‖₁, zero in exact arithmetic; μ is the P-weighted mean of V over a set of keys.
    public var unrenormalisedResidual: Double
    /// ‖(o − ô) − (1−r)·(μ_dropped − μ_kept)‖₁, zero in exact arithmetic.
    ///
    /// Source: the head–tail identity of arXiv 2512.07647.
    public var renormalisedResidual: Double
    /// ‖o‖₁, the size that errors may be compared with.
    public var outputNorm: Double

    public init(
        row: Int, causalKeys: Int, keptKeys: Int, mass: (retained: Double, dropped: Double),
        error: (unrenormalised: Double, renormalised: Double), residual: (unrenormalised: Double, renormalised: Double),
        outputNorm: Double
    ) {
        self.row = row
        self.causalKeys = causalKeys
        self.keptKeys = keptKeys
        (retainedMass, droppedMass) = mass
        (unrenormalisedError, renormalisedError) = error
        (unrenormalisedResidual, renormalisedResidual) = residual
        self.outputNorm = outputNorm
    }

    /// The error of the given output.
    public func error(of output: OutputForm) -> Double {
        switch output {
        case .unrenormalised: unrenormalisedError
        case .renormalised: renormalisedError
        }
    }
}

/// Which masked output is compared with the dense one.
public enum OutputForm: String, Hashable, Sendable, CaseIterable, Codable {
    /// õ = P̃ V, the kept probabilities as they are: the paper's Õ.
    case unrenormalised
    /// ô, a softmax over the kept keys alone: what every attention kernel computes.
    case renormalised
}

/// One query row's outputs with their errors. Shapes: each output [valueDimension].
public struct AttentionRow: Sendable {
    public let errors: RowErrors
    /// o = Σ_j P_j V_j.
    public let dense: [Double]
    /// õ = Σ_{j kept} P_j V_j.
    public let unrenormalised: [Double]
    /// ô = õ / r.
    public let renormalised: [Double]
    /// How far in L1 a kernel's output of the row may be from `renormalised`; 0 when no kernel is judged.
    public let kernelAllowance: Double
}
