import AttentionCore
import Autotuning
import SampleAttention
import Testing

@Suite struct AllocationTests {
    private static func options(heads: Int, seed: UInt64) -> [[Allocation.Option]] {
        var random = SeededGenerator(seed: seed)
        return (0..<heads).map { _ in
            [.init(cost: 10, damage: 0)]
                + (0..<3).map { _ in .init(cost: 10 * random.uniform(), damage: random.uniform() < 0.1 ? -0.2 : random.uniform()) }
        }
    }

    private static func total(_ options: [[Allocation.Option]], _ choice: [Int]) -> (cost: Double, damage: Double) {
        zip(options, choice).reduce((0, 0)) { ($0.0 + $1.0[$1.1].cost, $0.1 + max(0, $1.0[$1.1].damage)) }
    }

    /// Every choice of six heads.
    private static func best(_ options: [[Allocation.Option]], budget: Double) -> Double {
        var best = Double.infinity
        for code in 0..<4096 {
            let sums = total(options, (0..<6).map { code >> (2 * $0) & 3 })
            if sums.damage <= budget { best = min(best, sums.cost) }
        }
        return best
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func noChoiceWithinTheBudgetIsCheaper(seed: UInt64) throws {
        let options = Self.options(heads: 6, seed: seed)
        for budget in [0.3, 1, 2] {
            let sums = Self.total(options, try #require(Allocation.cheapest(options, budget: budget)))
            #expect(sums.damage <= budget)
            // Rounding damages up costs at most what a budget smaller by one step for each head allows.
            let fine = Self.best(options, budget: budget * (1 - 6.0 / Double(Allocation.standardLevels)))
            #expect(sums.cost >= Self.best(options, budget: budget) - 1e-9 && sums.cost <= fine + 1e-9)
        }
    }

    @Test func leastDamageWithinACost() throws {
        let options: [[Allocation.Option]] = [
            [.init(cost: 4, damage: 0), .init(cost: 1, damage: 3)], [.init(cost: 4, damage: 0), .init(cost: 1, damage: 1)],
        ]
        #expect(Allocation.leastDamage(options, costBudget: 8.01) == [0, 0])
        #expect(Allocation.leastDamage(options, costBudget: 5.01) == [0, 1])
        #expect(Allocation.leastDamage(options, costBudget: 2.01) == [1, 1])
        #expect(Allocation.leastDamage(options, costBudget: 1) == nil)
    }

    @Test func whatCannotBeChosenIsNot() {
        let broken: [[Allocation.Option]] = [[.init(cost: 5, damage: 0), .init(cost: 0, damage: .nan), .init(cost: 1, damage: .infinity)]]
        #expect(Allocation.cheapest(broken, budget: 10) == [0])
        #expect(Allocation.cheapest([[.init(cost: 1, damage: 2)]], budget: 1) == nil)
        #expect(Allocation.cheapest([[.init(cost: 1, damage: 2), .init(cost: 3, damage: 0)]], budget: 0) == [1])
        #expect(Allocation.cheapest([], budget: 1) == [])
    }

    /// A dense option and four cheaper ones for each of six heads, of which two have damage of the other kind.
    private static func twoKinds() -> [[Allocation.Option]] {
        var generator = SeededGenerator(seed: 5)
        return (0..<6).map { head in
            var own = [Allocation.Option(cost: 10, damage: 0)]
            for level in 1...4 {
                let damage = generator.uniform() * Double(level)
                let rare: Double = head < 2 ? generator.uniform() * Double(level) : 0
                own.append(Allocation.Option(cost: 10 / Double(1 + level), damage: damage, otherDamage: rare))
            }
            return own
        }
    }

    /// Whatever is chosen stays within both budgets, and costs little more than the best of all choices that do.
    @Test(arguments: [0.2, 1, 5]) func otherDamageHasABudgetOfItsOwn(otherBudget: Double) throws {
        let options = Self.twoKinds()
        func rare(_ choice: [Int]) -> Double { zip(options, choice).reduce(0.0) { $0 + $1.0[$1.1].otherDamage } }
        let found = try #require(Allocation.cheapest(options, budget: 6, otherBudget: otherBudget))
        let sums = Self.total(options, found)
        #expect(sums.damage <= 6 && rare(found) <= otherBudget)
        var least = Double.infinity
        for code in 0..<15_625 {
            var (rest, choice) = (code, [Int]())
            for _ in 0..<6 {
                choice.append(rest % 5)
                rest /= 5
            }
            let own = Self.total(options, choice)
            if own.damage <= 6, rare(choice) <= otherBudget { least = min(least, own.cost) }
        }
        #expect(sums.cost >= least - 1e-9 && sums.cost < 1.15 * least)
    }

    /// Costs and both damages in one proportion, where a price alone finds nothing between everything and nothing.
    @Test func proportionalDamagesAreShared() throws {
        let options = (0..<4).map { _ in
            (0...8).map { Allocation.Option(cost: 10 - Double($0), damage: Double($0), otherDamage: Double(3 * $0)) }
        }
        let found = try #require(Allocation.cheapest(options, budget: 16, otherBudget: 24.01))
        #expect(Self.total(options, found).cost == 32)
    }

    @Test func otherDamageThatCannotBeAvoidedHasNoChoice() {
        let options: [[Allocation.Option]] = [[.init(cost: 1, damage: 0, otherDamage: 2)]]
        #expect(Allocation.cheapest(options, budget: 1, otherBudget: 1) == nil)
        #expect(Allocation.cheapest(options, budget: 1, otherBudget: 2) == [0])
        #expect(
            Allocation.cheapest([[.init(cost: 1, damage: 0, otherDamage: 1), .init(cost: 2, damage: 0)]], budget: 1, otherBudget: 0) == [1])
    }
}

@Suite struct ParameterImportanceTests {
    private static func trial(_ head: Int, window: Int, sinks: Int, time: Double, error: Double) -> FrozenTrial {
        FrozenTrial(
            length: 100, layer: 0, head: head, number: 0, parameters: .window(tokens: window, sinks: sinks),
            measured: .init(meanMass: 1, p1Mass: 1, minMass: 1, density: 1, outputError: error, milliseconds: time))
    }

    /// Time is the window's doing and error the sinks'; that heads differ is nobody's.
    @Test func differencesGoToTheParameterThatMakesThem() throws {
        let trials = (0..<4).flatMap { head in
            [16, 32, 64].flatMap { window in
                [0, 4].map { sinks in
                    Self.trial(
                        head, window: window, sinks: sinks, time: Double(window * (head + 1)), error: Double(sinks + 1) / Double(head + 1))
                }
            }
        }
        let importance = Dictionary(uniqueKeysWithValues: ParameterImportance.all(trials).map { ($0.name, $0) })
        #expect(try #require(importance["window"]).ofTime > 0.999 && importance["window"]!.ofError < 1e-9)
        #expect(try #require(importance["sinks"]).ofError > 0.999 && importance["sinks"]!.ofTime < 1e-9)
        #expect(importance["pattern"]!.ofTime < 1e-9 && importance["alpha"]!.ofTime == 0)
    }
}
