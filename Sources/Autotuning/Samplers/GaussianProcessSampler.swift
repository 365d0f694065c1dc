import AttentionCore

/// A Gaussian process over all trials, and the point with the largest expected improvement among a hundred and more candidates.
///
/// Two objectives are made one by augmented Chebyshev scalarisation with a weight λ drawn for each proposal (ParEGO): with f the
/// objectives relative to the extent of the Pareto front, max_i λ_i f_i + 0.05 Σ_i λ_i f_i. Both share one process, so that a weight
/// costs two triangular solves. Failed trials count as the worst value seen; running ones as what is expected of them.
///
/// Complexity: O(trials²) a `tell`, as a row is appended to the Cholesky factor; O(candidates · trials²) an `ask`, in BLAS: some
/// 5 ms at 1,000 trials. Hyperparameters are fitted to at most 128 trials spread over the study, whenever the trials have grown by a
/// fifth; then the factor is made anew, O(trials³).
///
/// Source: Jones, Schonlau and Welch (1998); Knowles (IEEE Trans. Evol. Comp. 10, 2006) for two objectives.
public struct GaussianProcessSampler: Sampler {
    private static let startupTrials = 8
    private static let fittedTrials = 128

    private let seed: UInt64
    private var history: TrialHistory
    private var design: QuasiRandomPoints
    /// Of all told trials, once there are enough.
    private var process: GaussianProcess?
    /// Told trials at which hyperparameters are fitted again.
    private var nextFit: Int

    public var dimensions: Int { history.dimensions }
    public var objectives: Int { history.objectives }

    public init(dimensions: Int, objectives: Int, seed: UInt64) {
        self.seed = seed
        history = TrialHistory(dimensions: dimensions, objectives: objectives)
        design = QuasiRandomPoints(dimensions: dimensions, seed: seed)
        nextFit = Self.startupTrials
    }

    public mutating func tell(_ point: [Double], values: [Double]?) {
        history.tell(point, values: values)
        if history.told >= nextFit, history.ranking.count >= 2 {
            fit()
        } else {
            process?.append(point)
        }
    }

    /// Every time from where the last search ended: what is likely changes little.
    private mutating func fit() {
        let stride = (history.told + Self.fittedTrials - 1) / Self.fittedTrials
        let chosen = Array(Swift.stride(from: 0, to: history.told, by: stride))
        let functions = (0..<objectives).map { objective in
            let all = standardised(history.values.map { $0?[objective] })
            return chosen.map { all[$0] }
        }
        let likelihood = MarginalLikelihood(points: chosen.map { history.points[$0] }, functions: functions)
        let start = process?.hyperparameters ?? MarginalLikelihood.start(dimensions: dimensions)
        process = GaussianProcess(likelihood.best(from: start), points: history.points)
        nextFit = history.told + max(4, history.told / 5)
    }

    public mutating func ask() -> [Double] {
        let point = process == nil ? design.next(after: history) : mostPromising()
        history.ask(point)
        return point
    }

    private mutating func mostPromising() -> [Double] {
        var random = SeededGenerator.trial(history.trials, seed: seed)
        let values = objectives == 1 ? history.values.map { $0?[0] } : scalarised(weight: random.uniform())
        let targets = standardised(values)
        let posterior = process!.posterior(of: targets)
        let best = targets.indices.filter { values[$0] != nil }.sorted { (targets[$0], $0) < (targets[$1], $1) }.prefix(4)
        // What the running trials are expected to measure is no improvement any more.
        let goal = process!.predict(history.pending, from: posterior).reduce(targets[best[0]]) { min($0, $1.mean) }
        for point in history.pending { process!.append(point) }
        defer { process!.truncate(to: history.told) }
        let search = CandidateSearch(incumbents: best.map { history.points[$0] }, reach: process!.hyperparameters.lengthScales)
        return search.best(random: &random) { candidates in
            zip(candidates, process!.predict(candidates, from: posterior)).map { candidate, prediction in
                history.knows(candidate)
                    ? -.infinity
                    : ExpectedImprovement.logarithmic(mean: prediction.mean, deviation: prediction.deviation, best: goal)
            }
        }
    }

    /// Relative to the extent of the Pareto front, so that what a poor trial cost does not press all good ones together.
    private func scalarised(weight: Double) -> [Double?] {
        let front = NondominatedSorting.fronts(of: history.values, ranking: history.ranking, atLeast: 1)[0].map { history.values[$0]! }
        let least = front.reduce(front[0], pointwiseMin)
        var extent = front.reduce(front[0], pointwiseMax) - least
        extent.replace(with: 1, where: extent .<= 0)
        let weights = TrialHistory.Objectives(weight, 1 - weight)
        return history.values.map { value in
            value.map {
                let parts = ($0 - least) / extent * weights
                return parts.max() + 0.05 * parts.sum()
            }
        }
    }

    /// Mean 0 and deviation 1, failed trials at the worst value of the others.
    private func standardised(_ values: [Double?]) -> [Double] {
        let worst = values.lazy.compactMap { $0 }.max() ?? 0
        let whole = values.map { $0 ?? worst }
        let count = Double(whole.count)
        let mean = whole.reduce(0, +) / count
        let deviation = (whole.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
        return whole.map { deviation > 0 && deviation.isFinite ? ($0 - mean) / deviation : 0 }
    }
}
