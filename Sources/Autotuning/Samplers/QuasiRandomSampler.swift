import QuasiRandom

/// Points spread evenly over the cube, whatever is told: the baseline, and the first trials of `TPESampler`.
///
/// Trial number t gets the t-th point of the sequence, or the first after it that has not been tried.
///
/// Complexity: O(d) a trial, amortised. Source: `QuasiRandomSequence`.
public struct QuasiRandomSampler: Sampler {
    private var history: TrialHistory
    private var design: QuasiRandomPoints

    public var dimensions: Int { history.dimensions }
    public var objectives: Int { history.objectives }

    /// - Parameter family: nil takes Sobol points as far as they go, 40 dimensions, and reversed Halton points beyond.
    public init(dimensions: Int, objectives: Int, seed: UInt64, family: QuasiRandomSequence.Family? = nil) {
        history = TrialHistory(dimensions: dimensions, objectives: objectives)
        design = QuasiRandomPoints(dimensions: dimensions, seed: seed, family: family)
    }

    public mutating func ask() -> [Double] {
        let point = design.next(after: history)
        history.ask(point)
        return point
    }

    public mutating func tell(_ point: [Double], values: [Double]?) { history.tell(point, values: values) }
}

/// The points of a quasi-random sequence by the number of the trial.
struct QuasiRandomPoints: Sendable {
    private let dimensions: Int
    private let seed: UInt64
    private let family: QuasiRandomSequence.Family
    private var points: [[Double]] = []

    init(dimensions: Int, seed: UInt64, family: QuasiRandomSequence.Family? = nil) {
        self.dimensions = dimensions
        self.seed = seed
        self.family = family ?? (dimensions <= QuasiRandomSequence.Family.sobol.mostDimensions ? .sobol : .reverseHalton)
    }

    /// The point of the next trial's number, or the first after it that has not been tried.
    mutating func next(after history: TrialHistory) -> [Double] {
        var index = history.trials
        while history.knows(point(index)) { index += 1 }
        return points[index]
    }

    /// GSL's generators can only go on, and are no values: twice as many points are made anew whenever they run out.
    private mutating func point(_ index: Int) -> [Double] {
        if index >= points.count {
            let sequence = QuasiRandomSequence(family, dimensions: dimensions, seed: seed)
            points = (0..<max(32, 2 * index)).map { _ in sequence.next() }
        }
        return points[index]
    }
}
