import AttentionCore
import SampleStatistics
import Testing

@Suite struct ConfidenceBoundsTests {
    /// Populations of retained masses: what real heads look like, and what is hardest for a bound.
    enum Population: String, CaseIterable, Sendable {
        case nearlyAlwaysOne, mostlyOneSomeZero, concentrated, skewed, uniform, evenCoin, twoClose

        func draw(_ random: inout SeededGenerator) -> Double {
            switch self {
            // A certificate has many chances to see no row that is 0: the bound must allow for those it did not see.
            case .nearlyAlwaysOne: random.uniform() < 0.004 ? 0 : 1
            case .mostlyOneSomeZero: random.uniform() < 0.05 ? 0 : 1
            case .concentrated: 0.95 + 0.01 * (random.uniform() + random.uniform() - 1)
            // 1 − u⁸: the mean is 8/9, half of all draws are above 0.996.
            case .skewed: 1 - power8(random.uniform())
            case .uniform: random.uniform()
            case .evenCoin: random.uniform() < 0.5 ? 0 : 1
            case .twoClose: random.uniform() < 0.3 ? 0.8 : 0.9
            }
        }

        var mean: Double {
            switch self {
            case .nearlyAlwaysOne: 0.996
            case .mostlyOneSomeZero: 0.95
            case .concentrated: 0.95
            case .skewed: 8.0 / 9
            case .uniform, .evenCoin: 0.5
            case .twoClose: 0.87
            }
        }

        private func power8(_ x: Double) -> Double { (x * x * x * x) * (x * x * x * x) }
    }

    /// Over 2,000 repetitions the bound is above the mean no more often than stated, and not far below it either.
    @Test(arguments: Population.allCases, MeanLowerBound.allCases)
    func meanBoundsHoldAsOftenAsStated(_ population: Population, _ bound: MeanLowerBound) {
        let (trials, draws, failure) = (2000, 256, 0.05)
        var misses = 0
        var slack = 0.0
        for trial in 0..<trials {
            var random = SeededGenerator.derived(seed: 11, trial)
            let lower = bound.of((0..<draws).map { _ in population.draw(&random) }, failure: failure)
            if lower > population.mean { misses += 1 }
            slack += (population.mean - lower) / Double(trials)
        }
        #expect(misses <= Self.mostMisses(of: trials, failure: failure), "\(misses) of \(trials)")
        let most = bound == .betting ? 0.07 : 0.12
        #expect(slack > 0 && slack < most, "mean slack \(slack)")
    }

    /// A statement at another confidence is another statement.
    @Test(arguments: [0.5, 0.2, 0.01])
    func meanBoundsFollowTheConfidence(_ failure: Double) {
        var misses = 0
        for trial in 0..<2000 {
            var random = SeededGenerator.derived(seed: 12, trial)
            let draws = (0..<128).map { _ in Population.skewed.draw(&random) }
            if MeanLowerBound.betting.of(draws, failure: failure) > Population.skewed.mean { misses += 1 }
        }
        #expect(misses <= Self.mostMisses(of: 2000, failure: failure), "\(misses)")
        #expect(failure < 0.1 || Double(misses) > 0.05 * failure * 2000, "the bound follows the failure probability: \(misses)")
    }

    /// The reason for the betting bound: it is much nearer to the mean where masses are near 1.
    @Test func bettingIsTheTighterBound() {
        for population in Population.allCases {
            var random = SeededGenerator(seed: 5)
            let draws = (0..<256).map { _ in population.draw(&random) }
            let bounds = MeanLowerBound.allCases.map { $0.of(draws, failure: 0.05) }
            #expect(population.mean - bounds[0] < 0.75 * (population.mean - bounds[1]), "\(population)")
        }
        // 256 ones show at most δ^(1/256) = 0.98837, whatever the method.
        let best = MeanLowerBound.betting.of(Array(repeating: 1, count: 256), failure: 0.05)
        #expect(best > 0.9865 && best <= 0.98837)
    }

    /// Maurer and Pontil's formula for {0, 1}: mean ½, V = ½, n = 2; and for 200 draws of which 20 are 0.
    @Test func bernsteinIsTheFormula() {
        #expect(MeanLowerBound.empiricalBernstein.of([0, 1], failure: 0.05) == 0)
        let draws = (0..<200).map { $0 % 10 == 0 ? 0.0 : 1 }
        // numpy: x.mean() - sqrt(2 x.var(ddof=1) log(40) / 200) - 7 log(40) / (3 · 199)
        #expect(abs(MeanLowerBound.empiricalBernstein.of(draws, failure: 0.05) - 0.7989828487305793) < 1e-12)
    }

    @Test func fewDrawsPromiseNothing() {
        for bound in MeanLowerBound.allCases {
            #expect(bound.of([], failure: 0.05) == 0 && bound.of([1], failure: 0.05) == 0)
            #expect(bound.of([0, 0, 0], failure: 0.05) == 0)
        }
    }

    /// `min` and `max` would make a bound of what is not a number.
    @Test func drawsOutsideTheirRangeTrap() async {
        await #expect(processExitsWith: .failure) { _ = MeanLowerBound.betting.of([1, .nan, 1], failure: 0.05) }
        await #expect(processExitsWith: .failure) { _ = MeanLowerBound.empiricalBernstein.of([.nan], failure: 0.05) }
        await #expect(processExitsWith: .failure) { _ = MeanLowerBound.betting.of([1, 1.01], failure: 0.05) }
        await #expect(processExitsWith: .success) { _ = MeanLowerBound.betting.of([1, -0.0, 0], failure: 0.05) }
    }

    /// The largest count of misses that a true failure probability would exceed less than once in a million tests.
    static func mostMisses(of trials: Int, failure: Double) -> Int {
        var above = 1.0
        for (count, mass) in binomial(trials, failure).enumerated() {
            above -= mass
            if above < 1e-6 { return count }
        }
        return trials
    }

    /// P(k successes of n), k = 0 … n, by the recurrence from the mode so that nothing underflows.
    static func binomial(_ count: Int, _ p: Double) -> [Double] {
        var masses = [Double](repeating: 0, count: count + 1)
        let mode = min(count, Int(Double(count + 1) * p))
        masses[mode] = 1
        for k in stride(from: mode, to: count, by: 1) {
            masses[k + 1] = masses[k] * Double(count - k) / Double(k + 1) * p / (1 - p)
        }
        for k in stride(from: mode, to: 0, by: -1) {
            masses[k - 1] = masses[k] * Double(k) / Double(count - k + 1) * (1 - p) / p
        }
        let sum = masses.reduce(0, +)
        return masses.map { $0 / sum }
    }
}
