import AttentionCore
import Autotuning
import Foundation
import Reporting
import SampleStatistics

/// Times a sampler of the tuner: a proposal and a reported result a trial.
package struct SamplerBench {
    let kind: SamplerKind
    let objectives: Int
    let trials: Int
    let seed: UInt64
    /// Searches a known function instead of one that costs nothing, and says what was found.
    let findsBest: Bool

    package init(kind: SamplerKind, objectives: Int, trials: Int, seed: UInt64, findsBest: Bool) {
        (self.kind, self.objectives, self.trials, self.seed, self.findsBest) = (kind, objectives, trials, seed, findsBest)
    }

    package struct Row: BenchRow {
        let sampler: String
        let objectives, dimensions, trials: Int
        let millisecondsPerTrial, millisecondsAtEnd, millisecondsMost: Double
        /// The least value, or the dominated area; nil where it was not asked for.
        let best: Double?

        package static let titles = ["sampler", "objectives", "trials", "ms a trial", "at the end", "most", "best"]
        package var cells: [String] {
            [
                sampler, "\(objectives)", "\(trials)", NumberFormat.fixed(millisecondsPerTrial, decimals: 4),
                NumberFormat.fixed(millisecondsAtEnd, decimals: 4), NumberFormat.fixed(millisecondsMost, decimals: 3),
                best.map { NumberFormat.fixed($0, decimals: 5) } ?? "-",
            ]
        }
    }

    /// - Throws: `InputError` (`internalFailure`) when a sampler does not go on alike after being told a study anew.
    package func run() throws(InputError) -> Row {
        let study = BenchedStudy(kind: kind, objectives: objectives, seed: seed, function: findsBest ? .known : .trivial)
        try study.check()
        let (times, found) = study.run(trials: trials)
        return Row(
            sampler: kind.rawValue, objectives: objectives, dimensions: BenchedStudy.dimensions, trials: trials,
            millisecondsPerTrial: times.reduce(0, +) / Double(trials), millisecondsAtEnd: Quantiles.median(times.suffix(trials / 10)),
            millisecondsMost: times.max() ?? .nan, best: findsBest ? found : nil)
    }
}

/// One study whose trials cost nothing.
private struct BenchedStudy {
    enum Function { case trivial, known }

    static let dimensions = 3

    let kind: SamplerKind
    let objectives: Int
    let seed: UInt64
    let function: Function

    private func makeSampler() -> any Sampler { kind.make(dimensions: Self.dimensions, objectives: objectives, seed: seed) }

    /// Milliseconds of each trial, and what was found.
    func run(trials: Int) -> (milliseconds: [Double], best: Double) {
        var sampler = makeSampler()
        var front = ParetoFront()
        let times = (0..<trials).map { trial in
            let start = ContinuousClock.now
            let point = sampler.ask()
            let values = values(at: point)
            sampler.tell(point, values: values)
            let time = (ContinuousClock.now - start).seconds * 1e3
            front.insert(.init(cost: values[0], loss: values.count == 2 ? values[1] : 0, trial: trial))
            return time
        }
        return (times, objectives == 1 ? front.members[0].cost : front.hypervolume(cost: 1.1, loss: 1.1))
    }

    /// A sampler that is told a study's trials anew must propose what the study's own would.
    func check() throws(InputError) {
        var (first, second) = (makeSampler(), makeSampler())
        for _ in 0..<50 {
            let point = first.ask()
            for value in point where !(0...1).contains(value) {
                throw InputError(.internalFailure, field: kind.rawValue, value: "\(value)", rule: "proposals must lie in the unit cube")
            }
            first.tell(point, values: values(at: point))
            second.tell(point, values: values(at: point))
        }
        let (own, other) = (first.ask(), second.ask())
        guard own == other else {
            throw InputError(.internalFailure, field: kind.rawValue, value: "\(other)", rule: "must go on with \(own)")
        }
    }

    private func values(at point: [Double]) -> [Double] {
        switch function {
        case .trivial: Array([point.reduce(0, +), 1 - point[0]].prefix(objectives))
        case .known: objectives == 1 ? [Self.branin(point)] : Self.zdt1(point)
        }
    }

    /// Branin (1972) on its box, [−5, 10] × [0, 15]; the third coordinate does not matter.
    private static func branin(_ point: [Double]) -> Double {
        let (a, b) = (15 * point[0] - 5, 15 * point[1])
        let valley = b - 5.1 / (4 * Double.pi * Double.pi) * a * a + 5 / Double.pi * a - 6
        return valley * valley + 10 * (1 - 1 / (8 * Double.pi)) * cos(a) + 10
    }

    /// Zitzler, Deb and Thiele (2000), in three dimensions.
    private static func zdt1(_ point: [Double]) -> [Double] {
        let g = 1 + 4.5 * (point[1] + point[2])
        return [point[0], g * (1 - (point[0] / g).squareRoot())]
    }
}
