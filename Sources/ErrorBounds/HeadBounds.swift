import AttentionCore

/// What the theorems say about one head under one mask, beside what was measured: how vacuous the bound is, and what α it
/// would take to promise a useful error.
public struct HeadBounds: Hashable, Sendable, Encodable {
    /// The α that Theorem 2 demands for an error of `share` of the head's mean output norm.
    public struct AlphaDemand: Hashable, Sendable, Encodable {
        /// ε over the mean of ‖o_i‖₁.
        public let share: Double
        /// ε. Units: those of the values, L1.
        public let error: Double
        /// α for P̃V, 1 − ε/R, and for the softmax over the kept keys, 1 − ε/D; 0 when any mask will do.
        public let unrenormalised, renormalised: Double
    }

    /// R = max_j ‖V_j‖₁.
    public let radius: Double
    /// D = max_jk ‖V_j − V_k‖₁ (its upper bound unless `diameterIsExact`), and the upper bound that is always quick.
    public let diameter, diameterUpperBound: Double
    public let diameterIsExact: Bool
    /// CRA, the least retained mass of any row, and the mean over rows.
    public let cumulativeResidualAttention, meanRetainedMass: Double
    /// Kept over causal pairs.
    public let density: Double
    /// The largest ‖o − õ‖₁ and ‖o − ô‖₁ of any row, in exact arithmetic.
    public let unrenormalisedError, renormalisedError: Double
    /// (1 − CRA)·D.
    public let bound: Double
    /// `bound` / `renormalisedError`: how many times too large the promise is. 1 is tight; nil when nothing was lost.
    public let vacuity: Double?
    /// The mean over rows of ‖o_i‖₁.
    public let meanOutputNorm: Double
    /// The largest deviation of the kernel's output from ô that rounding caused, the largest that any row's allowance permits, and
    /// the largest share of its own allowance that a row used; nil without a kernel.
    public let kernelDeviation, kernelAllowance, kernelAllowanceUsed: Double?
    /// For ε of 1, 5 and 10 % of `meanOutputNorm`; empty for a head whose output is zero.
    public let alphas: [AlphaDemand]

    /// The shares of the mean output norm that α is given for.
    public static let shares = [0.01, 0.05, 0.1]

    public init(_ measurement: MaskMeasurement) {
        let values = measurement.values
        radius = values.radius
        diameter = values.diameter
        diameterUpperBound = values.diameterUpperBound
        diameterIsExact = values.diameterIsExact
        cumulativeResidualAttention = measurement.cumulativeResidualAttention
        meanRetainedMass = measurement.meanRetainedMass
        density = measurement.density
        unrenormalisedError = measurement.worstRow(for: .unrenormalised).unrenormalisedError
        renormalisedError = measurement.worstRow(for: .renormalised).renormalisedError
        bound = RenormalisedDiameterBound().bound(droppedMass: measurement.largestDroppedMass, values: values)
        vacuity = measurement.largestDroppedMass > 0 && renormalisedError > 0 ? bound / renormalisedError : nil
        let kernel = measurement.kernelRows
        kernelDeviation = kernel.map(\.deviation).largest()
        kernelAllowance = kernel.map(\.allowance).largest()
        kernelAllowanceUsed = kernel.filter { $0.allowance > 0 }.map { $0.deviation / $0.allowance }.largest()
        let norm = measurement.meanOutputNorm
        meanOutputNorm = norm
        alphas = Self.shares.compactMap { share in
            guard let error = try? ErrorTolerance(share * norm) else { return nil }
            func alpha(_ output: OutputForm) -> Double { Theorem2(error: error, values: values, output: output).alpha }
            return AlphaDemand(
                share: share, error: error.value, unrenormalised: alpha(.unrenormalised), renormalised: alpha(.renormalised))
        }
    }
}
