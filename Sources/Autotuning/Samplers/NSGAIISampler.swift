import AttentionCore
import Parallelism

/// NSGA-II, an elitist genetic algorithm: children of the least dominated and least crowded trials so far.
///
/// A generation is as many told trials as the population holds, in the order of telling; then the best of parents and children,
/// whole fronts first and of the last one those with the most room, become the next parents. Failed trials never do.
///
/// Complexity: O(d) an `ask`; O(population²) once a generation, so O(population) a trial: microseconds at any number of trials.
///
/// Source: Deb, Pratap, Agarwal and Meyarivan (IEEE Trans. Evol. Comp. 6, 2002).
public struct NSGAIISampler: Sampler {
    /// A parent, with what its tournaments go by.
    private struct Individual {
        let point: [Double]
        let value: TrialHistory.Objectives
        var front = 0
        var distance = 0.0
    }

    private let seed: UInt64
    private let populationSize: Int
    private let operators: GeneticOperators
    private var history: TrialHistory
    private var design: QuasiRandomPoints
    private var parents: [Individual] = []
    /// Told trials that have been through a selection.
    private var selected = 0

    public var dimensions: Int { history.dimensions }
    public var objectives: Int { history.objectives }

    /// - Parameter populationSize: trials of a generation, at least 4.
    public init(dimensions: Int, objectives: Int, seed: UInt64, populationSize: Int = 20) {
        precondition(populationSize >= 4, "a population needs parents to choose from")
        self.seed = seed
        self.populationSize = populationSize
        operators = GeneticOperators(dimensions: dimensions)
        history = TrialHistory(dimensions: dimensions, objectives: objectives)
        design = QuasiRandomPoints(dimensions: dimensions, seed: seed)
    }

    public mutating func ask() -> [Double] {
        let point = parents.count < 2 ? design.next(after: history) : newChild()
        history.ask(point)
        return point
    }

    public mutating func tell(_ point: [Double], values: [Double]?) {
        history.tell(point, values: values)
        if history.told - selected == populationSize { selectParents() }
    }

    /// A child that has not been tried; where the parents are all alike that may need a random point.
    private func newChild() -> [Double] {
        var random = SeededGenerator.trial(history.trials, seed: seed)
        for _ in 0..<10 {
            let child = operators.child(of: tournament(&random).point, and: tournament(&random).point, random: &random)
            if !history.knows(child) { return child }
        }
        return random.point(dimensions: dimensions)
    }

    /// The better of two parents: by front, then by room.
    private func tournament(_ random: inout SeededGenerator) -> Individual {
        let first = parents[Int.random(in: 0..<parents.count, using: &random)]
        let second = parents[Int.random(in: 0..<parents.count, using: &random)]
        return (second.front, -second.distance) < (first.front, -first.distance) ? second : first
    }

    private mutating func selectParents() {
        var pool = parents
        for trial in selected..<history.told {
            if let value = history.values[trial] { pool.append(Individual(point: history.points[trial], value: value)) }
        }
        selected = history.told
        let values = pool.map(\.value)
        let ranking = values.indices.sorted { (values[$0][0], values[$0][1], $0) < (values[$1][0], values[$1][1], $1) }
        parents = []
        for (rank, front) in NondominatedSorting.fronts(of: values, ranking: ranking, atLeast: populationSize).enumerated() {
            let distances = NondominatedSorting.crowdingDistances(front.map { values[$0] })
            var members = zip(front, distances).map { index, distance in
                Individual(point: pool[index].point, value: values[index], front: rank, distance: distance)
            }
            let room = populationSize - parents.count
            if members.count > room { members = Array(members.sorted { $0.distance > $1.distance }.prefix(room)) }
            parents += members
        }
    }
}

/// Simulated binary crossover and polynomial mutation of points of the unit cube.
///
/// Source: Deb and Agrawal (Complex Systems 9, 1995); Deb and Goyal (1996). Both are kept inside the cube by clamping.
struct GeneticOperators: Sendable {
    /// Large: children like their parents.
    var crossoverIndex = 15.0
    var mutationIndex = 20.0
    var crossoverProbability = 0.9
    /// Of each coordinate.
    var mutationProbability: Double

    /// One coordinate is mutated on average.
    init(dimensions: Int) { mutationProbability = 1 / Double(dimensions) }

    func child(of first: [Double], and second: [Double], random: inout SeededGenerator) -> [Double] {
        var child = first
        if random.uniform() < crossoverProbability {
            for index in child.indices where random.uniform() < 0.5 {
                child[index] = crossed(first[index], second[index], random: &random)
            }
        }
        for index in child.indices where random.uniform() < mutationProbability {
            child[index] = mutated(child[index], random: &random)
        }
        return child
    }

    /// ½ ((1 ± β) a + (1 ∓ β) b): as far from the parents' middle, relative to them, as a bit string's crossover would be.
    private func crossed(_ a: Double, _ b: Double, random: inout SeededGenerator) -> Double {
        let u = random.uniform()
        let spread =
            u <= 0.5 ? power(2 * u, 1 / (crossoverIndex + 1)) : power(1 / (2 * (1 - u)), 1 / (crossoverIndex + 1))
        let sign = random.uniform() < 0.5 ? 1.0 : -1
        return clamped(((1 + sign * spread) * a + (1 - sign * spread) * b) / 2)
    }

    /// x + δ, δ in (−1, 1) with a density that falls as (1 − |δ|) to the power of the index.
    private func mutated(_ x: Double, random: inout SeededGenerator) -> Double {
        let u = random.uniform()
        let shift =
            u < 0.5 ? power(2 * u, 1 / (mutationIndex + 1)) - 1 : 1 - power(2 * (1 - u), 1 / (mutationIndex + 1))
        return clamped(x + shift)
    }

    private func clamped(_ x: Double) -> Double { min(1, max(0, x)) }
}
