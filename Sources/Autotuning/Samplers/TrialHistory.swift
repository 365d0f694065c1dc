import AttentionCore

/// What a sampler has been told and what it has been asked for: all that a proposal may depend on beside the seed.
struct TrialHistory: Sendable {
    typealias Objectives = NondominatedSorting.Objectives

    let dimensions, objectives: Int
    /// Of the told trials, in the order of telling.
    private(set) var points: [[Double]] = []
    /// nil for trials that failed.
    private(set) var values: [Objectives?] = []
    /// Asked for, not told yet.
    private(set) var pending: [[Double]] = []
    /// Indices of the trials that did not fail, by first objective, then second, then order of telling.
    private(set) var ranking: [Int] = []
    private var known: Set<[Double]> = []

    init(dimensions: Int, objectives: Int) {
        precondition(dimensions >= 1, "a cube has a dimension")
        precondition((1...2).contains(objectives), "one objective or two")
        self.dimensions = dimensions
        self.objectives = objectives
    }

    /// Told trials.
    var told: Int { points.count }
    /// The number of the next trial: told and running ones.
    var trials: Int { points.count + pending.count }

    /// True when exactly this point was told or is running.
    func knows(_ point: [Double]) -> Bool { known.contains(point) }

    mutating func ask(_ point: [Double]) {
        pending.append(point)
        known.insert(point)
    }

    /// Complexity: O(trials) for the ranking, a few microseconds at a thousand.
    mutating func tell(_ point: [Double], values told: [Double]?) {
        precondition(point.count == dimensions && point.allSatisfy { (0...1).contains($0) }, "a point of the sampler's unit cube")
        precondition(told.map { $0.count == objectives } ?? true, "as many values as objectives")
        if let index = pending.firstIndex(of: point) { pending.remove(at: index) }
        known.insert(point)
        points.append(point)
        guard let told, told.allSatisfy(\.isFinite) else { return values.append(nil) }
        let value = Objectives(told[0], told.count == 2 ? told[1] : 0)
        values.append(value)
        ranking.insert(points.count - 1, at: rank(of: value))
    }

    /// The place after all that are no worse; ties thus stay in the order of telling.
    private func rank(of value: Objectives) -> Int {
        var (low, high) = (0, ranking.count)
        while low < high {
            let middle = (low + high) / 2
            let other = values[ranking[middle]]!
            if (value[0], value[1]) < (other[0], other[1]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension SeededGenerator {
    /// The randomness of one trial: a function of the seed and the trial's number, whatever was drawn before.
    static func trial(_ number: Int, seed: UInt64) -> SeededGenerator { derived(seed: seed, number) }

    mutating func point(dimensions: Int) -> [Double] { (0..<dimensions).map { _ in uniform() } }

    /// A normal number of this mean and deviation, given that it lies in [0, 1]; the mean must lie there too.
    mutating func truncatedNormal(mean: Double, deviation: Double) -> Double {
        for _ in 0..<100 {
            let draw = mean + deviation * normal()
            if (0...1).contains(draw) { return draw }
        }
        // Half of the draws miss at worst unless the deviation dwarfs the interval, where the distribution is flat.
        return uniform()
    }
}
