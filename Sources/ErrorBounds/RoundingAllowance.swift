/// How far rounding in double precision can move a measured error past its bound.
///
/// With u = 2⁻⁵³, γ_m = m·u/(1 − m·u), n causal keys, dv value dimensions and R = max_j ‖V_j‖₁, to first order in u and
/// in L1, each term in units of u·R; the weights exp(s − max) as computed are taken as exact, since they define P:
/// - an output Σ w_j V_j / Σ w_j: a sum of n products and a sum of n weights in any order, one division: 2n + 1;
/// - kept weights relative to their own maximum m': w'_j e^(m'−m) differs from w_j by (t_j + t + 4)·u relatively, where
///   t_j, t are the distances to the maxima. Σ P̂_j t_j ≤ ln n (entropy) and t·e^(−t) ≤ 1/e, so õ moves by at most n + 4
///   and ô, whose normaliser moves too, by 2n + 2;
/// - the difference of two outputs and its norm: 2·dv;
/// - the bound: the dropped mass 2n + 1 relatively, R, D and their centres 4·dv + 4, the factor at most 2R:
///   4n + 8·dv + 10;
/// - an identity adds the dropped part (2n + 1) and the product (1−r)·ô (6n + 4), and has no bound side.
///
/// The sum for a bound is at most 10n + 10·dv + 16, for an identity at most 14n + 2·dv + 17; both are below
/// 16·(n + dv + 1) since n, dv ≥ 1. Products that underflow add at most n·dv smallest Doubles for each of three products.
///
/// Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), §3.1.
public enum RoundingAllowance {
    /// 16·γ_(keys + dimension + 1)·radius, plus underflow. Units: those of the values.
    public static func l1(keys: Int, dimension: Int, radius: Double) -> Double {
        let terms = Double(keys + dimension + 1) * 0x1p-53
        return 16 * terms / (1 - terms) * radius + 4 * Double(keys * dimension) * .leastNonzeroMagnitude
    }
}
