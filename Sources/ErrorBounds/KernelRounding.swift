/// How a tiled attention kernel rounds, as far as a bound on its output needs to know.
///
/// Model. With u = 2⁻²⁴, β the unit roundoff of the operands of products (0 when they stay FP32), ε the relative error of the
/// computed 2^x and γ_k = k·u/(1 − k·u): queries are scaled and rounded to operands, keys and values rounded to operands;
/// scores are FP32 sums that begin at −shift, where the shift is some kept key's score and may move up as tiles pass by;
/// probabilities are rounded to operands for the product with V but not for their sum; both sums are FP32, in any order;
/// the output is one over the other. Everything rounds to nearest. `KernelAllowance` turns this into a bound.
///
/// Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), §2.2 and §3.1 (products and sums), §5.1 (Horner).
public struct KernelRounding: Hashable, Sendable {
    /// β, the largest relative error of rounding a number to an operand: 2⁻ᵖ for p significant bits, 0 for FP32.
    public let operandRoundoff: Double
    /// ε, the largest relative error of the computed 2^x for an FP32 x.
    public let exponentialError: Double
    /// Keys of a full tile, and the most tiles that are only partly a row's.
    public let tileKeys, partialTiles: Int

    public init(operandRoundoff: Double, exponentialError: Double, tileKeys: Int, partialTiles: Int) {
        precondition((0..<1).contains(operandRoundoff) && (0..<1).contains(exponentialError), "relative errors are shares of 1")
        precondition(tileKeys >= 1 && partialTiles >= 0, "a tile has keys")
        self.operandRoundoff = operandRoundoff
        self.exponentialError = exponentialError
        self.tileKeys = tileKeys
        self.partialTiles = partialTiles
    }

    /// The same with 2^f, |f| ≤ ½, by a polynomial of a degree whose own relative error is at most `polynomialError`.
    public init(operandRoundoff: Double, polynomialDegree: Int, polynomialError: Double, tileKeys: Int, partialTiles: Int) {
        self.init(
            operandRoundoff: operandRoundoff, exponentialError: Self.horner(degree: polynomialDegree, approximation: polynomialError),
            tileKeys: tileKeys, partialTiles: partialTiles)
    }

    /// u = 2⁻²⁴, the unit roundoff of FP32.
    static let unit = 0x1p-24

    /// γ_k = k·u/(1 − k·u), which bounds |Π(1 + δᵢ)^±1 − 1| over k factors with |δᵢ| ≤ u.
    static func gamma(_ count: Int) -> Double {
        let terms = Double(count) * unit
        precondition(terms < 1, "a sum this long may lose every digit")
        return terms / (1 - terms)
    }

    /// Horner's rule errs by at most γ_2n·Σ|cᵢ||f|ⁱ and rounding the coefficients adds one factor; for 2^f the sum is about
    /// 2^|f| ≤ 2·2^f, and the spare factor covers the "about".
    private static func horner(degree: Int, approximation: Double) -> Double { approximation + 2 * gamma(2 * degree + 2) }

    // MARK: Scores

    /// κ: a computed score errs by at most κ·Σ_k|q_k k_k|·scale from its own terms. Each term is rounded with the scale, the
    /// scaling, as two operands, as a product and in at most d sums; one rounding is to spare for the reference.
    func ownScoreError(dimension: Int) -> Double {
        let operands = 1 + operandRoundoff
        return operands * operands * (1 + Self.gamma(dimension + 4)) - 1
    }

    /// λ: … and by λ·max_j Σ_k|q_k k_jk|·scale from the shift: carried along the sum (γ_d), taken off afterwards (u times a
    /// difference of two scores), and moved (u times each difference; as the shift only rises they add up to one).
    func sharedScoreError(dimension: Int) -> Double {
        (Self.gamma(dimension + 4) + 4 * Self.unit) * (1 + ownScoreError(dimension: dimension))
    }

    /// The most often a row's shift moves: once for a tile that it keeps any key of.
    func shiftMoves(keptKeys: Int) -> Int { keptKeys / tileKeys + partialTiles }

    // MARK: Sums

    /// The relative error of Σ e_j v_j / Σ e_j in the size of its terms: operands p and v, a product, n sums, a rescaling for
    /// each move of the shift, a reciprocal and a product above the line; n sums and the rescalings below it.
    func quotientError(keptKeys: Int) -> Double {
        let steps = keptKeys + shiftMoves(keptKeys: keptKeys)
        let operands = 1 + operandRoundoff
        let above = operands * operands * (1 + Self.gamma(steps + 3)) - 1
        let below = Self.gamma(steps)
        return (above + below) / (1 - below)
    }
}
