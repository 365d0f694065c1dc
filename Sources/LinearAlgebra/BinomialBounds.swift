import CGSL

/// Confidence bounds on the probability of an event from how often it happened.
public enum BinomialBounds {
    /// The Clopper–Pearson lower bound: with probability at least 1 − δ it is not above the true probability p of a success,
    /// whatever p is.
    ///
    /// It is the p for which so many successes or more would have probability δ: `I⁻¹(δ; k, n − k + 1)`, the inverse of the
    /// regularised incomplete beta function; 0 when nothing succeeded, and δ^(1/n) when everything did.
    ///
    /// - Parameters:
    ///   - successes: k of `count` independent trials of equal probability.
    ///   - failure: δ in (0, 1), the probability that the bound is wrong.
    /// Complexity: O(1).
    /// Source: Clopper and Pearson (Biometrika 26, 1934), through GSL's `gsl_cdf_beta_Pinv`.
    public static func lowerBound(successes: Int, of count: Int, failure: Double) -> Double {
        precondition((0...count).contains(successes), "successes are a part of the trials")
        precondition(failure > 0 && failure < 1, "a failure probability lies in (0, 1)")
        if successes == 0 { return 0 }
        _ = GSLErrors.areReturned
        let bound = gsl_cdf_beta_Pinv(failure, Double(successes), Double(count - successes + 1))
        // What GSL cannot solve promises nothing.
        return bound.isFinite ? bound : 0
    }
}
