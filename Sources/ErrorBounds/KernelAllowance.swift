import AttentionCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How far, in L1, the output ô' of a kernel that rounds as `KernelRounding` says may be from the exact ô of the same mask.
///
/// With w_j the exact weights of the kept keys (Σ w = 1), a_j = scale·Σ_k|q_k k_jk| and A = max a over the keys that the row
/// sees, the kernel's weights are w_j·e^(θ_j) with |θ_j| ≤ δ_j := κ·a_j + λ·A + ε's share, and its sums then err by
/// χ := `KernelRounding.quotientError`. So ‖ô' − ô‖₁ is at most
///
///     min( D·tanh(max δ / 2),  Σ w_j (e^δ_j − 1)(‖V_j − c‖₁ + ‖ô − c‖₁) / Σ w_j e^−δ_j )        weights
///       + χ · min( R,  Σ w_j e^δ_j ‖V_j‖₁ / Σ w_j e^−δ_j )                                      sums
///
/// for any c (the values' mean here). *First bound*: two distributions whose ratio stays within [e^−δ, e^δ] up to a factor
/// have total variation τ ≤ tanh(δ/2), and their means differ by τ times the difference of two means of V. *Second*:
/// Σ w_j e^θ_j V_j / Σ w_j e^θ_j − ô = Σ w_j (e^θ_j − 1)(V_j − ô) / Σ w_j e^θ_j, because Σ w_j (V_j − ô) = 0.
///
/// Numbers below 2⁻¹²⁶ may become 0 anywhere: 4·d·2⁻¹²⁶·(1 + max|q| + max|k|) in δ, and 2⁻¹²⁰ a kept key in the output.
/// A head with a sink has one more key, for which only the first bound is used.
/// This computation's own rounding is far below κ's spare factor and within `RoundingAllowance`, which is added when it is used.
/// Hypothesis: no sum leaves the range of FP32 (`isInRange`); where one may, nothing is promised and the allowance is infinite.
///
/// Complexity: O(keys · (d + dv)) to make, O(keys seen) a row beside the product |Q||K|ᵀ.
public struct KernelAllowance: Sendable {
    public let rounding: KernelRounding
    let absoluteQueries, absoluteKeys: [Double]
    private let head: AttentionHead
    private let values: ValueExtent
    /// c, ‖V_j − c‖₁ and ‖V_j‖₁.
    private let centre, distances, norms: [Double]
    private let largestKey, largestQuery, largestValue: Double

    public init(_ rounding: KernelRounding, head: AttentionHead, values: ValueExtent) {
        self.rounding = rounding
        self.head = head
        self.values = values
        absoluteQueries = head.queries.map(abs)
        absoluteKeys = head.keys.map(abs)
        let rows = PaddedRows(head.values, width: head.valueDimension)
        let mean = rows.mean()
        centre = (0..<head.valueDimension).map { mean[$0 / 8][$0 % 8] }
        distances = rows.distances(to: mean)
        norms = rows.distances(to: rows.zero())
        largestQuery = absoluteQueries.max()!
        largestKey = absoluteKeys.max()!
        largestValue = head.values.reduce(0) { max($0, abs($1)) }
    }

    /// The allowance of one row. Units: those of the values.
    ///
    /// - Parameters:
    ///   - weights: exact weights in any unit, 0 for dropped keys.
    ///   - magnitudes: a_j of the same keys.
    ///   - renormalised: ô.
    func l1(
        weights: UnsafeBufferPointer<Double>, magnitudes: UnsafeBufferPointer<Double>, keptKeys: Int, renormalised: [Double]
    ) -> Double {
        let largest = magnitudes.max()!
        guard isInRange(keptKeys: keptKeys, magnitude: largest) else { return .infinity }
        let own = rounding.ownScoreError(dimension: head.dimension)
        let shared = sharedError(keptKeys: keptKeys, magnitude: largest)
        let most = own * largest + shared
        let hull = values.diameter * tanh(most / 2)
        let lost = Double(keptKeys) * 0x1p-120 * exp(shared) * (values.radius + Double(head.valueDimension))
        let quotient = rounding.quotientError(keptKeys: keptKeys + (head.sink == nil ? 0 : 1))
        // Weights that a Double holds as 0 could grow to matter: then only what needs no weights is used.
        guard most < 300, head.sink == nil else { return hull + quotient * values.radius + lost }
        let offset = zip(renormalised, centre).reduce(0) { $0 + abs($1.0 - $1.1) }
        let sums = perturbed(weights, magnitudes, own: own, shared: shared, offset: offset)
        return min(hull, sums.moved / sums.least) + quotient * min(values.radius, sums.size / sums.least) + lost
    }

    /// Σ w(e^δ − 1)(‖V − c‖ + ‖ô − c‖), Σ w e^δ ‖V‖ and Σ w e^−δ over the kept keys.
    private func perturbed(
        _ weights: UnsafeBufferPointer<Double>, _ magnitudes: UnsafeBufferPointer<Double>, own: Double, shared: Double, offset: Double
    ) -> (moved: Double, size: Double, least: Double) {
        var sums = (moved: 0.0, size: 0.0, least: 0.0)
        for key in weights.indices where weights[key] > 0 {
            let delta = own * magnitudes[key] + shared
            let growth = expm1(delta)
            sums.moved += weights[key] * growth * (distances[key] + offset)
            sums.size += weights[key] * (1 + growth) * norms[key]
            sums.least += weights[key] / (1 + growth)
        }
        return sums
    }

    /// What δ_j has in common over the keys: the shift, underflow, and 2^x itself with each rescaling, ln(1/(1 − ε)) a time.
    private func sharedError(keptKeys: Int, magnitude: Double) -> Double {
        let powers = Double(rounding.shiftMoves(keptKeys: keptKeys) + 1)
        let underflow = 4 * Double(head.dimension) * 0x1p-126 * (1 + largestQuery + largestKey)
        return rounding.sharedScoreError(dimension: head.dimension) * magnitude + underflow
            - powers * log1p(-rounding.exponentialError) + ruleError
    }

    /// A cap is at most 1-Lipschitz, and is computed within a few roundings of itself; a sink's logit is rounded once or twice.
    private var ruleError: Double { 0x1p-20 * ((head.rule.softCap ?? 0) + abs(head.sink ?? 0)) }

    /// Scores below 2¹⁰⁰; weights beside the shift's at most 2³² and at most e^(2A) (3A and 2³³ here: scores err too), so sums at
    /// most that times n·max|V|.
    private func isInRange(keptKeys: Int, magnitude: Double) -> Bool {
        let largestWeight = exp(min(3 * magnitude, 33 * 0.6931471805599453))
        return magnitude < 0x1p100 && max(largestQuery, largestKey) < 0x1p120
            && Double(keptKeys) * largestWeight * largestValue < 0x1p126
    }
}
