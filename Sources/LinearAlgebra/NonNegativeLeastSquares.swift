/// Least squares whose unknowns must not be negative: what a sum of costs is made of.
package enum NonNegativeLeastSquares {
    /// The x ≥ 0 that minimises ‖A x − b‖₂.
    ///
    /// The active-set method: unknowns leave zero one by one, the steepest first, and go back when the unconstrained solution over
    /// those that left would make them negative. At the end `w = Aᵀ (b − A x)` has `w_j ≤ 0` where `x_j = 0` and `w_j = 0` where
    /// `x_j > 0`, up to rounding: the Karush–Kuhn–Tucker conditions, which make x a minimum because the problem is convex.
    ///
    /// Of columns that depend on each other as many as are needed are used.
    /// Complexity: a least-squares problem for each change of the set; about as many changes as unknowns.
    /// Source: Lawson and Hanson, "Solving Least Squares Problems" (1974; SIAM 1995), algorithm NNLS of section 23.3.
    package static func solve(_ problem: LeastSquaresProblem) -> [Double] {
        let (scaled, lengths) = problem.scaled()
        var search = ActiveSet(problem: scaled)
        search.run()
        return zip(search.x, lengths).map { $0 / $1 }
    }
}

/// The state of the search, over columns of length 1.
private struct ActiveSet {
    private let problem: LeastSquaresProblem
    /// A slope below this is rounding.
    private let tolerance: Double
    private(set) var x: [Double]
    /// Unknowns that have left zero, in the order in which they did.
    private var free: [Int] = []

    init(problem: LeastSquaresProblem) {
        self.problem = problem
        x = Array(repeating: 0, count: problem.columns.count)
        tolerance = 10 * Double.ulpOfOne * Double(max(problem.target.count, x.count)) * LeastSquaresProblem.length(problem.target)
    }

    mutating func run() {
        // Each round lowers the residual, so it ends by itself; rounding may not know that.
        for _ in 0..<(10 * x.count + 10) {
            guard let entering = freeSteepest() else { return }
            settle(entering)
        }
    }

    /// Frees the unknown whose growth lowers the residual most; nil at the minimum. One that the solution would push straight back
    /// has a slope of rounding errors, and stays.
    private mutating func freeSteepest() -> (index: Int, solution: [Double])? {
        let slope = problem.gradient(residual: problem.residual(x))
        let candidates = x.indices.filter { !free.contains($0) && slope[$0] > tolerance }.sorted { slope[$0] > slope[$1] }
        for index in candidates {
            free.append(index)
            let solution = LeastSquares.solveScaled(problem.keeping(free))
            if solution.last! > 0 { return (index, solution) }
            free.removeLast()
        }
        return nil
    }

    /// Walks to the solution over the free unknowns; whenever one reaches zero on the way, it is bound again and the goal is a new one.
    private mutating func settle(_ entering: (index: Int, solution: [Double])) {
        var goal = entering.solution
        while let step = firstStop(goal) {
            for (place, index) in free.enumerated() { x[index] += step.share * (goal[place] - x[index]) }
            x[free[step.place]] = 0
            for index in free where x[index] <= 0 { x[index] = 0 }
            free.removeAll { x[$0] == 0 }
            goal = LeastSquares.solveScaled(problem.keeping(free))
        }
        for (place, index) in free.enumerated() { x[index] = goal[place] }
    }

    /// Which free unknown reaches zero first on the way to a goal, and after what share of the way; nil when none does.
    private func firstStop(_ goal: [Double]) -> (place: Int, share: Double)? {
        free.indices.filter { goal[$0] <= 0 }
            .map { place in (place: place, share: x[free[place]] / (x[free[place]] - goal[place])) }
            .min { $0.share < $1.share }
    }
}
