import AttentionCore
import CGSL
import SampleStatistics
import Testing

@Suite struct QuantilesTests {
    @Test func quantilesInterpolate() {
        let quantiles = Quantiles([4, 1, 3, 2])
        #expect(quantiles.median == 2.5 && quantiles.at(0) == 1 && quantiles.at(1) == 4)
        #expect(abs(quantiles.at(0.1) - 1.3) < 1e-15)
        #expect(Quantiles.median([3, 1, 2]) == 2)
        #expect(Quantiles([7]).at(0.3) == 7)
    }

    /// Digit for digit, so that nothing that was measured before reads differently.
    @Test(arguments: [1, 2, 3, 10, 101, 1000]) func quantilesAreThoseOfGSL(count: Int) {
        var random = SeededGenerator(seed: UInt64(count))
        let sample = (0..<count).map { _ in random.normal() }
        let quantiles = Quantiles(sample)
        let ascending = sample.sorted()
        for fraction in [0, 1e-9, 0.01, 0.05, 0.25, 1.0 / 3, 0.5, 0.75, 0.9, 0.99, 1] + (0..<50).map({ _ in random.uniform() }) {
            #expect(quantiles.at(fraction) == gsl_stats_quantile_from_sorted_data(ascending, 1, count, fraction), "\(fraction)")
        }
    }

    /// `sorted()` puts NaN anywhere, and the others around it in disorder.
    @Test func whatIsNotANumberHasNoQuantiles() {
        #expect(Quantiles([]).median.isNaN)
        for place in 0..<5 {
            var sample = [1.0, 2, 3, 4]
            sample.insert(.nan, at: place)
            for fraction in [0, 0.01, 0.5, 1] { #expect(Quantiles(sample).at(fraction).isNaN) }
        }
    }

    @Test func infinitePlacesAreTheirOwnOnly() {
        let quantiles = Quantiles([.infinity, 1, -.infinity, 2, 3])
        #expect(quantiles.at(0) == -.infinity && quantiles.at(1) == .infinity)
        #expect(quantiles.at(0.25) == 1 && quantiles.at(0.5) == 2 && quantiles.at(0.75) == 3)
        #expect(quantiles.at(0.9) == .infinity && quantiles.at(0.1) == -.infinity)
    }
}
