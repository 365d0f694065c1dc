#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Confidence bounds on the probability of an event from how often it happened.
package enum BinomialBounds {
    /// The Clopper–Pearson lower bound: with probability at least 1 − δ it is not above the true probability p of a success,
    /// whatever p is.
    ///
    /// It is the p for which so many successes or more would have probability δ, the δ quantile of Beta(k, n − k + 1); 0 when nothing
    /// succeeded, and δ^(1/n) when everything did.
    ///
    /// Accuracy, in this order: always in [0, 1]; the bound for a δ that differs from the given one by less than 10⁻¹² of it; for
    /// δ ≤ ½ thereby within 10⁻¹² of the bound itself. Both are measured in the tests.
    ///
    /// - Parameters:
    ///   - successes: k of `count` independent trials of equal probability.
    ///   - failure: δ in (0, 1), the probability that the bound is wrong.
    /// Complexity: O(√n) for each of some ten steps.
    /// Source: Clopper and Pearson, "The use of confidence or fiducial limits" (Biometrika 26, 1934).
    package static func lowerBound(successes: Int, of count: Int, failure: Double) -> Double {
        precondition((0...count).contains(successes), "successes are a part of the trials")
        precondition(failure > 0 && failure < 1, "a failure probability lies in (0, 1)")
        if successes == 0 { return 0 }
        if successes == count { return exp(log(failure) / Double(count)) }
        return BinomialTail(successes: successes, of: count).probability(logTail: log(failure))
    }
}
