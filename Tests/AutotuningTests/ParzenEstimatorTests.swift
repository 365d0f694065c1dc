import AttentionCore
import Autotuning
import Testing

@Suite struct ParzenEstimatorTests {
    static let lattice = (0..<100).map { (Double($0) + 0.5) / 100 }

    /// Truncated kernels, also those on the border, and the uniform part hold all of the mass together.
    @Test func densitiesSumToOne() {
        var estimator = ParzenEstimator(bandwidths: [0.05, 0.3])
        func mass() -> Double {
            Self.lattice.reduce(0) { sum, x in sum + Self.lattice.reduce(0) { $0 + estimator.density(at: [x, $1]) } } / 1e4
        }
        #expect(abs(mass() - 1) < 1e-12)
        for point in [[0, 0.2], [0.4, 1], [0.41, 0.9], [1, 0.5]] { estimator.append(point) }
        #expect(abs(mass() - 1) < 1e-3)
        estimator.setBandwidths([0.2, 0.1])
        #expect(abs(mass() - 1) < 1e-3)
        let before = estimator.density(at: [0.4, 0.95])
        estimator.silence(1)
        #expect(abs(mass() - 1) < 1e-3 && estimator.density(at: [0.4, 0.95]) < before)
    }

    /// Draws fall where the density is: shares of the quarters, within four standard errors.
    @Test func drawsFollowTheDensity() {
        var estimator = ParzenEstimator(bandwidths: [0.1])
        for point in [[0.0], [0.3], [0.35]] { estimator.append(point) }
        var random = SeededGenerator(seed: 4)
        var counts = [Double](repeating: 0, count: 4)
        let draws = 20_000
        for _ in 0..<draws { counts[Int(min(0.999, estimator.draw(from: &random)[0]) * 4)] += 1 }
        for quarter in 0..<4 {
            let expected = Self.lattice[quarter * 25..<quarter * 25 + 25].reduce(0) { $0 + estimator.density(at: [$1]) } / 100
            #expect(abs(counts[quarter] / Double(draws) - expected) < 4 * (0.25 / Double(draws)).squareRoot())
        }
    }
}
