#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A lower confidence bound on the mean of numbers in [0, 1] from independent draws of them, for every sample size and
/// without any assumption on how they are distributed.
package enum MeanLowerBound: String, Sendable, CaseIterable, Codable {
    /// Before each draw a share of a capital is bet that it will exceed m; a mean of m or less makes the capital a supermartingale, so it
    /// reaches 1 / δ with probability at most δ (Ville). Every m at which it did is therefore rejected. The tightest at
    /// hundreds of draws, and the reason why their order must be the random one.
    ///
    /// Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 86, 2024;
    /// arXiv 2010.09686), the predictable plug-in bets of its section 4 for a fixed number of draws, one-sided.
    case betting
    /// mean − √(2 V ln(2/δ) / n) − 7 ln(2/δ) / (3 (n − 1)), V the sample variance. In closed form, and some two to three times
    /// as far from the mean.
    ///
    /// Source: Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization" (COLT 2009), Theorem 4.
    case empiricalBernstein = "empirical-bernstein"

    /// With probability at least 1 − δ the bound is not above the mean that the draws come from. At least 0.
    ///
    /// - Parameters:
    ///   - draws: in [0, 1], in the order in which they were drawn; fewer than two promise nothing. What is no number traps: `min` and
    ///     `max` would take it for a 1 or a 0, and a bound for granted.
    ///   - failure: δ in (0, 1), the probability that the bound is wrong.
    /// Complexity: O(draws).
    package func of(_ draws: [Double], failure: Double) -> Double {
        precondition(failure > 0 && failure < 1, "a failure probability lies in (0, 1)")
        precondition(draws.allSatisfy((0...1).contains), "draws lie in [0, 1]")
        guard draws.count >= 2 else { return 0 }
        switch self {
        case .betting: return BettingProcess(draws, failure: failure).lowestUnrejectedMean()
        case .empiricalBernstein: return Self.empiricalBernstein(draws, failure: failure)
        }
    }

    private static func empiricalBernstein(_ draws: [Double], failure: Double) -> Double {
        let count = Double(draws.count)
        let mean = draws.reduce(0, +) / count
        let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        let scale = log(2 / failure)
        return max(0, mean - (2 * variance * scale / count).squareRoot() - 7 * scale / (3 * (count - 1)))
    }
}

/// The bets on a sequence of draws, whatever mean they are laid against.
private struct BettingProcess {
    /// The share of the capital that a bet may lose. At 1 a single draw of 0 would end the game; a smaller share wins less when
    /// nearly all draws are 1.
    private static let largestStake = 0.9

    private let draws: [Double]
    private let bets: [Double]
    /// 1 / δ: a capital that a fair game reaches with probability at most δ.
    private let rejection: Double

    /// λ_t = √(2 ln(1/δ) / (n σ̂²_{t−1})) from the draws before t, as if ½ had been drawn once with a variance of ¼.
    init(_ draws: [Double], failure: Double) {
        self.draws = draws
        rejection = 1 / failure
        let scale = 2 * log(1 / failure) / Double(draws.count)
        var sum = 0.5
        var squares = 0.25
        bets = draws.enumerated().map { index, draw in
            let bet = (scale * Double(index + 1) / squares).squareRoot()
            sum += draw
            let mean = sum / Double(index + 2)
            squares += (draw - mean) * (draw - mean)
            return bet
        }
    }

    /// The capital falls as m rises, so the rejected m are those below a border, found by bisection from the rejected side.
    func lowestUnrejectedMean() -> Double {
        var rejected = 0.0
        var border = min(1, draws.reduce(0, +) / Double(draws.count))
        while border - rejected > 1e-7 {
            let middle = (rejected + border) / 2
            if rejects(mean: middle) { rejected = middle } else { border = middle }
        }
        return rejected
    }

    /// True when Π (1 + λ_t (x_t − m)) was 1 / δ or more after any draw; λ_t is cut to `largestStake` / m.
    private func rejects(mean: Double) -> Bool {
        let largestBet = Self.largestStake / mean
        var capital = 1.0
        for (draw, bet) in zip(draws, bets) {
            capital *= 1 + min(bet, largestBet) * (draw - mean)
            if capital >= rejection { return true }
        }
        return false
    }
}
