import AttentionCore

/// The size of a head's values as the bounds need it: R = max_j ‖V_j‖₁ and D = max_{j,k} ‖V_j − V_k‖₁, both finite.
///
/// D by pairs costs O(keys² · dv) at worst; past `exactDiameterTokens` keys an upper bound takes its place: the smallest of
/// 2·max_j ‖V_j − c‖₁ for c the origin, the mean and the mid-range, and Σ_k (max_j V_jk − min_j V_jk). It is at most twice D,
/// since D ≥ max_j ‖V_j − mean‖₁. A bound from the larger D is still valid, and the ratio measured/bound can only come out
/// smaller than with the exact D.
public struct ValueExtent: Hashable, Sendable {
    /// R, the largest L1 norm of a value row.
    public let radius: Double
    /// D, the largest L1 distance of two value rows, or an upper bound of it; never above 2R.
    public let diameter: Double
    /// False when `diameter` is the upper bound.
    public let diameterIsExact: Bool
    /// The upper bound of D that costs O(keys · dv), whether or not `diameter` is exact.
    public let diameterUpperBound: Double

    /// Keys up to which `diameter` is computed by pairs unless the caller says otherwise.
    public static let defaultExactDiameterTokens = 2048

    /// - Parameter diameterUpperBound: `diameter` when nil.
    public init(radius: Double, diameter: Double, diameterIsExact: Bool, diameterUpperBound: Double? = nil) {
        precondition(radius >= 0 && diameter >= 0, "norms cannot be negative")
        precondition(radius.isFinite && diameter.isFinite, "the theorems need bounded values")
        self.radius = radius
        self.diameter = diameter
        self.diameterIsExact = diameterIsExact
        self.diameterUpperBound = diameterUpperBound ?? diameter
    }

    /// The extent of a head's values. O(keys · dv), and O(keys² · dv) up to `exactDiameterTokens` keys.
    public init(of head: AttentionHead, exactDiameterTokens: Int = Self.defaultExactDiameterTokens) {
        let values = PaddedRows(head.values, width: head.valueDimension)
        let box = values.box()
        let centres = [values.zero(), values.mean(), box.middle]
        let distances = centres.map { values.distances(to: $0) }
        let upper = min(2 * distances.map { $0.max()! }.min()!, box.extent)
        let exact = head.keyCount <= exactDiameterTokens
        let radius = distances[0].max()!
        let diameter = exact ? values.diameter(sortedBy: distances[2], atMost: upper) : upper
        // A sink's value is the origin.
        let least = head.sink == nil ? 0 : radius
        self.init(
            radius: radius, diameter: max(diameter, least), diameterIsExact: exact, diameterUpperBound: max(upper, least))
    }
}
