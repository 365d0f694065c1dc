import AttentionCore
import Autotuning
import Testing

@Suite struct ParetoFrontTests {
    /// On a coarse grid, so that equal objectives and equal trials are frequent.
    static func trials(_ count: Int, seed: UInt64, levels: Int) -> [ParetoFront.Member] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { trial in
            .init(
                cost: Double(Int.random(in: 0..<levels, using: &random)), loss: Double(Int.random(in: 0..<levels, using: &random)),
                trial: trial)
        }
    }

    static func dominates(_ a: (Double, Double), _ b: (Double, Double)) -> Bool { a.0 <= b.0 && a.1 <= b.1 && a != b }

    @Test(arguments: [1, 2, 5, 60], [3, 12, 1000]) func itHoldsWhatNothingDominates(count: Int, levels: Int) {
        for seed in 0..<20 as Range<UInt64> {
            let trials = Self.trials(count, seed: seed, levels: levels)
            let expected = trials.enumerated().filter { index, trial in
                !trials.enumerated().contains { other in
                    Self.dominates((other.element.cost, other.element.loss), (trial.cost, trial.loss))
                        || (other.offset < index && other.element.cost == trial.cost && other.element.loss == trial.loss)
                }
            }
            let front = ParetoFront(trials)
            #expect(front.members == expected.map(\.element).sorted { $0.cost < $1.cost }, "seed \(seed)")
            for trial in trials {
                #expect(front.covers(cost: trial.cost, loss: trial.loss))
                let better = front.members.contains { $0.cost <= trial.cost - 1 && $0.loss <= trial.loss }
                #expect(front.covers(cost: trial.cost - 1, loss: trial.loss) == better)
            }
        }
    }

    /// Against counting the unit squares of the grid that a trial dominates.
    @Test(arguments: [1, 5, 40]) func theHypervolumeIsTheDominatedArea(count: Int) {
        let trials = Self.trials(count, seed: 7, levels: 20)
        let squares = (0..<16).reduce(0) { sum, x in
            sum + (0..<14).count { y in trials.contains { $0.cost <= Double(x) && $0.loss <= Double(y) } }
        }
        #expect(ParetoFront(trials).hypervolume(cost: 16, loss: 14) == Double(squares))
        #expect(ParetoFront().hypervolume(cost: 16, loss: 14) == 0)
    }

    @Test func objectivesThatAreNotFiniteAreLeftOut() {
        var front = ParetoFront()
        for value in [Double.nan, .infinity, -.infinity] {
            #expect(!front.insert(.init(cost: value, loss: 0, trial: 0)) && !front.insert(.init(cost: 0, loss: value, trial: 0)))
        }
        #expect(front.members.isEmpty)
        #expect(front.insert(.init(cost: 1, loss: 1, trial: 1)) && !front.insert(.init(cost: 1, loss: 1, trial: 2)))
    }

    /// Deb's definition: a trial's front is one later than that of the worst that dominates it.
    @Test(arguments: [3, 12, 1000]) func frontsAreThoseOfTheDefinition(levels: Int) {
        let trials = Self.trials(80, seed: 3, levels: levels)
        let values = trials.map { NondominatedSorting.Objectives($0.cost, $0.loss) }
        let ranking = values.indices.sorted { (values[$0][0], values[$0][1], $0) < (values[$1][0], values[$1][1], $1) }
        let fronts = NondominatedSorting.fronts(of: values, ranking: ranking, atLeast: .max)
        #expect(fronts.flatMap { $0 }.sorted() == Array(values.indices))
        var front = [Int](repeating: 0, count: values.count)
        for (rank, members) in fronts.enumerated() { for member in members { front[member] = rank } }
        for (index, value) in values.enumerated() {
            let above = values.indices.filter { Self.dominates((values[$0][0], values[$0][1]), (value[0], value[1])) }
            #expect(front[index] == (above.map { front[$0] + 1 }.max() ?? 0))
        }
        let enough = NondominatedSorting.fronts(of: values, ranking: ranking, atLeast: fronts[0].count + 1)
        #expect(enough == Array(fronts.prefix(2)))
    }

    /// Greedily, each area taken from the definition.
    @Test func thePartOfAFrontDominatesTheMost() {
        let members = ParetoFront(Self.trials(200, seed: 5, levels: 1000)).members
        let front = members.map { NondominatedSorting.Objectives($0.cost, $0.loss) }
        var chosen: Set<Int> = []
        for count in 1...members.count {
            func area(_ index: Int) -> Double {
                ParetoFront(chosen.union([index]).map { members[$0] }).hypervolume(cost: 1200, loss: 1100)
            }
            let best = members.indices.filter { !chosen.contains($0) }.max { area($0) < area($1) }!
            let own = NondominatedSorting.largestHypervolume(front, count: count, reference: .init(1200, 1100))
            #expect(own.count == count)
            #expect(abs(ParetoFront(own.map { members[$0] }).hypervolume(cost: 1200, loss: 1100) - area(best)) < 1e-6)
            chosen.insert(best)
        }
    }
}
