import AttentionCore
import Autotuning
import LinearAlgebra
import Testing

/// The models that samplers have of what they were told.
@Suite struct SurrogateTests {
    static let lattice = (0..<100).map { (Double($0) + 0.5) / 100 }

    /// Truncated kernels, also those on the border, and the uniform part hold all of the mass together.
    @Test func parzenDensitiesSumToOne() {
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
    @Test func parzenDrawsFollowTheDensity() {
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

    static func process(noise: Double = 1e-6, points: [[Double]]) -> GaussianProcess {
        GaussianProcess(.init(lengthScales: [0.3, 0.6], noise: noise), points: points)
    }

    static func points(_ count: Int, seed: UInt64) -> [[Double]] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in [random.uniform(), random.uniform()] }
    }

    static func smooth(_ point: [Double]) -> Double { cosine(4 * point[0]) + point[1] * point[1] }

    @Test func theProcessGoesThroughItsPoints() {
        let points = Self.points(40, seed: 1)
        let process = Self.process(points: points)
        let posterior = process.posterior(of: points.map(Self.smooth))
        for (point, prediction) in zip(points, process.predict(points, from: posterior)) {
            #expect(abs(prediction.mean - Self.smooth(point)) < 1e-3)
            #expect(prediction.deviation < 1e-2)
        }
        let others = Self.points(40, seed: 2)
        for (point, prediction) in zip(others, process.predict(others, from: posterior)) {
            #expect(abs(prediction.mean - Self.smooth(point)) < 4 * prediction.deviation + 1e-2)
        }
    }

    /// Row by row it is the process that was made at once; forgotten points leave no trace.
    @Test func appendedPointsAreAsGoodAsGivenOnes() {
        let points = Self.points(30, seed: 3)
        let whole = Self.process(points: points)
        var grown = Self.process(points: Array(points.prefix(4)))
        for point in points.dropFirst(4) { grown.append(point) }
        grown.append([0.5, 0.5])
        grown.truncate(to: 30)
        let values = points.map(Self.smooth)
        let probes = Self.points(10, seed: 4)
        let predictions = zip(
            whole.predict(probes, from: whole.posterior(of: values)), grown.predict(probes, from: grown.posterior(of: values)))
        for (one, other) in predictions {
            #expect(abs(one.mean - other.mean) < 1e-6 && abs(one.deviation - other.deviation) < 1e-6)
        }
    }

    /// Points whose values are not known yet make their surroundings better known and change no mean.
    @Test func runningTrialsNarrowTheDeviation() {
        var process = Self.process(points: Self.points(10, seed: 5))
        let posterior = process.posterior(of: Self.points(10, seed: 5).map(Self.smooth))
        let probes = [[0.5, 0.5], [0.52, 0.5]]
        let before = process.predict(probes, from: posterior)
        process.append(probes[0])
        for (one, other) in zip(before, process.predict(probes, from: posterior)) {
            #expect(one.mean == other.mean && other.deviation < one.deviation / 2)
        }
    }

    /// A coordinate that does not matter gets a long length scale, noise is seen where there is some.
    @Test func theMarginalLikelihoodSeesWhatMatters() {
        let points = Self.points(60, seed: 6)
        var random = SeededGenerator(seed: 7)
        let clean = points.map { cosine(8 * $0[0]) }
        let noisy = clean.map { $0 + 0.3 * random.normal() }
        let fits = [clean, noisy].map { values in
            MarginalLikelihood(points: points, functions: [values]).best(from: MarginalLikelihood.start(dimensions: 2))
        }
        #expect(fits[0].lengthScales[1] > 4 * fits[0].lengthScales[0], "\(fits[0])")
        #expect(fits[0].noise < 1e-4 && fits[1].noise > 1e-2, "\(fits)")
    }

    /// ∫ max(0, best − y) N(y; μ, σ) dy, summed over 200,000 slices of ten deviations to both sides.
    @Test(arguments: [-4.0, -1, 0, 0.5, 3]) func expectedImprovementIsTheIntegral(z: Double) {
        let (mean, deviation) = (1.5, 0.2)
        let best = mean + z * deviation
        let slices = 200_000
        var sum = 0.0
        for slice in 0..<slices {
            let t = -10 + 20 * (Double(slice) + 0.5) / Double(slices)
            sum += max(0, best - mean - t * deviation) * exponential(-t * t / 2) / (2 * Double.pi).squareRoot() * 20 / Double(slices)
        }
        let own = exponential(ExpectedImprovement.logarithmic(mean: mean, deviation: deviation, best: best))
        #expect(abs(own - sum) < 1e-5 * sum)
    }

    /// Far below any hope the logarithm still falls, without a jump.
    @Test func expectedImprovementTellsTheHopelessApart() {
        let values = (0..<400).map { ExpectedImprovement.logarithmic(mean: Double($0) / 10, deviation: 1, best: 0) }
        for (one, next) in zip(values, values.dropFirst()) { #expect(next < one && next > one - 4.5) }
    }
}
