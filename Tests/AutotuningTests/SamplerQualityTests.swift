import AttentionCore
import Autotuning
import SampleStatistics
import Testing

/// Functions that samplers are judged by the world over, on the unit cube.
enum TestFunction: String, Sendable, CaseIterable {
    /// Three equal minima. Branin (1972): x₁ in [−5, 10], x₂ in [0, 15]; least 0.397887.
    case branin
    /// Four valleys in three dimensions. Hartmann (1973); least −3.86278.
    case hartmann3
    /// A convex front, f₂ = 1 − √f₁, where x₂ and x₃ are 0. Zitzler, Deb and Thiele (2000).
    case zdt1

    var dimensions: Int { self == .branin ? 2 : 3 }
    var objectives: Int { self == .zdt1 ? 2 : 1 }

    func callAsFunction(_ x: [Double]) -> [Double] {
        switch self {
        case .branin: [Self.branin(15 * x[0] - 5, 15 * x[1])]
        case .hartmann3: [Self.hartmann3(x)]
        case .zdt1: Self.zdt1(x)
        }
    }

    private static func branin(_ a: Double, _ b: Double) -> Double {
        let valley = b - 5.1 / (4 * Double.pi * Double.pi) * a * a + 5 / Double.pi * a - 6
        return valley * valley + 10 * (1 - 1 / (8 * Double.pi)) * cosine(a) + 10
    }

    private static func hartmann3(_ x: [Double]) -> Double {
        let heights = [1, 1.2, 3, 3.2]
        let steepness = [[3.0, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]
        let places = [[0.3689, 0.117, 0.2673], [0.4699, 0.4387, 0.747], [0.1091, 0.8732, 0.5547], [0.0381, 0.5743, 0.8828]]
        var sum = 0.0
        for valley in 0..<4 {
            var distance = 0.0
            for axis in 0..<3 {
                let step = x[axis] - places[valley][axis]
                distance += steepness[valley][axis] * step * step
            }
            sum -= heights[valley] * exponential(-distance)
        }
        return sum
    }

    private static func zdt1(_ x: [Double]) -> [Double] {
        let g = 1 + 9 * x.dropFirst().reduce(0, +) / Double(x.count - 1)
        return [x[0], g * (1 - (x[0] / g).squareRoot())]
    }

    /// How far some trials are from the best that is possible: from the least value, or from the area of the front up to (1.1, 1.1).
    func regret(of values: [[Double]]) -> Double {
        switch self {
        case .branin: return values.map { $0[0] }.min()! - 0.397887
        case .hartmann3: return values.map { $0[0] }.min()! + 3.86278
        case .zdt1:
            let front = ParetoFront(values.enumerated().map { .init(cost: $1[0], loss: $1[1], trial: $0) })
            return 1.1 * 1.1 - 1.0 / 3 - front.hypervolume(cost: 1.1, loss: 1.1)
        }
    }
}

/// Points drawn evenly and independently: what every sampler must beat.
struct RandomSampler: Sampler {
    let dimensions, objectives: Int
    var random: SeededGenerator

    mutating func ask() -> [Double] { (0..<dimensions).map { _ in random.uniform() } }
    mutating func tell(_ point: [Double], values: [Double]?) {}
}

@Suite struct SamplerQualityTests {
    static let seeds: [UInt64] = Array(1...11)

    /// The median regret over the seeds.
    static func regret(_ function: TestFunction, trials: Int, sampler: (UInt64) -> any Sampler) -> Double {
        Quantiles.median(
            seeds.map { seed in
                var sampler = sampler(seed)
                let points = SamplerConformance.run(&sampler, trials: trials, objective: { function($0) })
                return function.regret(of: points.map { function($0) })
            })
    }

    /// What is left of random search's median regret after as many trials, at most.
    struct Claim: Sendable, CustomTestStringConvertible {
        let kind: SamplerKind
        let function: TestFunction
        let trials: Int
        let share: Double

        var testDescription: String { "\(kind.rawValue), \(function.rawValue), \(trials) trials" }
    }

    static let claims = [
        Claim(kind: .tpe, function: .branin, trials: 100, share: 0.1),
        Claim(kind: .tpe, function: .hartmann3, trials: 100, share: 0.2),
        Claim(kind: .tpe, function: .zdt1, trials: 100, share: 0.4),
    ]

    @Test(arguments: claims) func itBeatsRandomSearch(_ claim: Claim) {
        let function = claim.function
        let own = Self.regret(function, trials: claim.trials) {
            claim.kind.make(dimensions: function.dimensions, objectives: function.objectives, seed: $0)
        }
        let random = Self.regret(function, trials: claim.trials) {
            RandomSampler(dimensions: function.dimensions, objectives: function.objectives, random: SeededGenerator(seed: $0))
        }
        #expect(own <= claim.share * random, "median regret \(own), random search \(random)")
    }

    /// What runs already is no news: a batch keeps apart, where proposals that knew nothing of each other would crowd.
    @Test func aBatchSpreads() {
        let distances = Self.seeds.map { seed in
            var sampler = SamplerKind.tpe.make(dimensions: 2, objectives: 1, seed: seed)
            _ = SamplerConformance.run(&sampler, trials: 15, objective: { TestFunction.branin($0) })
            let batch = (0..<8).map { _ in sampler.ask() }
            return Quantiles.median(
                batch.map { point in
                    batch.filter { $0 != point }.map { max(abs($0[0] - point[0]), abs($0[1] - point[1])) }.min()!
                })
        }
        #expect(Quantiles.median(distances) > 0.04, "\(distances)")
    }
}
