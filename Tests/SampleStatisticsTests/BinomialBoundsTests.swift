import AttentionCore
import CGSL
import Foundation
import SampleStatistics
import Testing

/// The Clopper–Pearson bound against GSL's beta distribution, against numbers of 40 digits, and by what it promises.
@Suite struct BinomialBoundsTests {
    /// `scipy.stats.beta.ppf(failure, k, n - k + 1)`, SciPy 1.17.1.
    static let ofSciPy: [(successes: Int, count: Int, failure: Double, bound: Double)] = [
        (1, 10, 0.05, 0.005116196891823701),
        (10, 10, 0.05, 0.7411344491069477),
        (5, 10, 0.025, 0.18708602844739855),
        (250, 256, 0.05, 0.9542672448019065),
        (256, 256, 0.05, 0.9883661238368368),
        (255, 256, 0.025, 0.9784291096474665),
        (243, 256, 0.05, 0.9204747766210399),
        (3, 256, 0.05, 0.0032015171041760242),
        (4990, 5000, 0.01, 0.9959751503289144),
        (1, 5000, 1e-6, 2.0000009998006667e-10),
        (199, 200, 1e-4, 0.9427726766434361),
        (0, 10, 0.05, 0),
    ]

    @Test(arguments: ofSciPy)
    func boundsAreThoseOfSciPy(_ successes: Int, _ count: Int, _ failure: Double, _ bound: Double) {
        let own = BinomialBounds.lowerBound(successes: successes, of: count, failure: failure)
        #expect(abs(own - bound) <= 1e-9 * bound, "\(own)")
    }

    /// mpmath 1.3 with 40 digits: the binomial sum that is nearer to 0, bisected in ln p.
    static let exact: [(successes: Int, count: Int, failure: Double, bound: Double)] = [
        (1, 2, 0.5, 0.2928932188134524756), (15, 16, 1e-10, 0.18132309645198862907), (8, 17, 0.3, 0.38094956421127651787),
        (100, 101, 0.99, 0.99852291614453819997), (255, 256, .leastNonzeroMagnitude, 0.052817818174842537672),
        (2000, 4096, 0.999999, 0.52527593739293824999), (31_000, 32_768, 0.025, 0.94354362670888788526),
        (32_767, 32_768, 1e-6, 0.9994908317132627913), (1, 32_768, 0.9, 0.000070266851634034914103),
        (3, 1_000_000, 0.5, 2.6740594124847908794e-6), (1, 1_000_000, 1e-300, 1.0000000000000000251e-306),
        (999_999, 1_000_000, 0.05, 0.99999525614436179319), (500_000, 1_000_000, 0.05, 0.49917707394947705171),
        (2, 1_000_000_000, 0.05, 3.5536151081320191716e-10), (1, 1_000_000_000_000_000, 0.001, 1.0005003335835335205e-18),
    ]

    @Test(arguments: exact)
    func boundsAreExactToTwelveDigits(_ successes: Int, _ count: Int, _ failure: Double, _ bound: Double) {
        let own = BinomialBounds.lowerBound(successes: successes, of: count, failure: failure)
        // Where δ is near 1 a digit of it is worth 1 / (1 − δ) digits of the bound.
        let limit = 1e-12 * max(1, 0.5 / (1 - failure))
        #expect(abs(own - bound) <= limit * bound, "\(own), off by \((own - bound) / bound)")
    }

    static let counts = [1, 2, 3, 5, 15, 16, 17, 64, 255, 256, 1000, 8192, 32_768, 1_000_000]
    static let failures = [1e-300, 1e-100, 1e-15, 1e-9, 1e-4, 0.01, 0.025, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999, 1 - 1e-9]

    /// Every few successes of a count: both ends, and what lies between more thinly.
    static func successes(of count: Int) -> [Int] {
        let shares = [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999].map { Int(($0 * Double(count)).rounded()) }
        return Set([1, 2, 3, count - 2, count - 1, count].filter { (1...count).contains($0) } + shares.filter { (1...count).contains($0) })
            .sorted()
    }

    /// I_bound(k, n − k + 1) is δ again: GSL's distribution function as the oracle, as near as it is itself.
    @Test(arguments: counts)
    func gslFindsTheFailureProbabilityAgain(_ count: Int) {
        gsl_set_error_handler_off()
        for successes in Self.successes(of: count) {
            for failure in Self.failures {
                let bound = BinomialBounds.lowerBound(successes: successes, of: count, failure: failure)
                let reached = gsl_cdf_beta_P(bound, Double(successes), Double(count - successes + 1))
                // The function is steep: a bound's last digit is worth so many of the probability.
                let digit = abs(gsl_cdf_beta_P(bound.nextUp, Double(successes), Double(count - successes + 1)) - reached)
                #expect(
                    abs(reached - failure) <= 2e-9 * min(failure, 1 - failure) + 1e-12 * failure + 2 * digit,
                    "\(successes) of \(count), δ = \(failure): \(bound) has \(reached)")
            }
        }
    }

    /// GSL's own inverse, wherever it finds one.
    @Test(arguments: counts)
    func boundsAreThoseOfGSL(_ count: Int) {
        gsl_set_error_handler_off()
        var compared = 0
        for successes in Self.successes(of: count) {
            for failure in Self.failures where failure >= 1e-9 && failure <= 0.999 {
                let other = gsl_cdf_beta_Pinv(failure, Double(successes), Double(count - successes + 1))
                guard other.isFinite else { continue }
                compared += 1
                let own = BinomialBounds.lowerBound(successes: successes, of: count, failure: failure)
                #expect(abs(own - other) <= 1e-8 * other, "\(successes) of \(count), δ = \(failure): \(own), \(other)")
            }
        }
        #expect(compared > 0)
    }

    /// More successes and a greater failure probability never mean a lower bound; none leaves [0, 1].
    @Test(arguments: [2, 17, 256, 5000])
    func boundsAreMonotone(_ count: Int) {
        for failure in Self.failures {
            let bounds = (0...count).map { BinomialBounds.lowerBound(successes: $0, of: count, failure: failure) }
            #expect(bounds.allSatisfy { (0...1).contains($0) } && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "δ = \(failure)")
        }
        for successes in Self.successes(of: count) {
            let bounds = Self.failures.map { BinomialBounds.lowerBound(successes: successes, of: count, failure: $0) }
            #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "\(successes) of \(count): \(bounds)")
        }
    }

    /// The least and the greatest δ there are, and the greatest counts that a certificate could have.
    @Test func extremesStayInRange() {
        for count in [1, 2, 256, 1 << 20, 1 << 40] {
            for successes in [1, 2, count - 1, count] where (1...count).contains(successes) {
                for failure in [Double.leastNonzeroMagnitude, .leastNormalMagnitude, 0x1p-53, 1 - 0x1p-53] {
                    let bound = BinomialBounds.lowerBound(successes: successes, of: count, failure: failure)
                    #expect((0...1).contains(bound), "\(successes) of \(count), δ = \(failure): \(bound)")
                }
            }
        }
    }

    /// Exactly, not by drawing: P(bound > p) = Σ over the k whose bound is above p of the binomial probability.
    @Test(arguments: [8, 64, 256])
    func boundsAreWrongNoMoreOftenThanStated(_ count: Int) {
        let failure = 0.05
        let bounds = (0...count).map { BinomialBounds.lowerBound(successes: $0, of: count, failure: failure) }
        var worst = 0.0
        for p in stride(from: 0.005, through: 0.995, by: 0.005) {
            let masses = ConfidenceBoundsTests.binomial(count, p)
            worst = max(worst, bounds.indices.reduce(0) { $0 + (bounds[$1] > p ? masses[$1] : 0) })
        }
        #expect(worst <= failure && worst > failure / 2, "\(worst)")
    }
}
