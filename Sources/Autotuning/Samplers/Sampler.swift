import AttentionCore

/// Proposes points of the unit cube [0, 1]^d and learns from what was measured there.
///
/// What every sampler promises, and the conformance tests check:
///
/// - **Minimisation** of one objective, or of two at once (their Pareto front).
/// - **Proposals lie in the cube**, both ends included.
/// - **A proposal depends only on** the seed, the trials told so far in their order, and the points asked for and not yet told.
///   A sampler told a journal's trials anew therefore goes on as the first one would have; samplers are values, and a copy goes
///   its own way.
/// - **`ask` may be called again before `tell`**, for workers in parallel: the proposals differ, and may be told in any order.
///   A trial that got lost is told as failed, else it counts as running for ever.
/// - **Any point may be told**, whether it was asked for or not, once or often; a failed trial (`nil`, or an objective that is not
///   finite) says that the point is no good and leaves the sampler usable.
/// - **It costs little** beside a trial: a fraction of a millisecond at a thousand trials, see each sampler.
///
/// The vocabulary (study, trial, sampler, ask, tell) is Optuna's (Akiba et al., KDD 2019).
public protocol Sampler: Sendable {
    /// d, coordinates of a point.
    var dimensions: Int { get }
    /// 1 or 2.
    var objectives: Int { get }

    /// The next point to try.
    mutating func ask() -> [Double]

    /// Takes in what a trial measured.
    ///
    /// - Parameters:
    ///   - point: in the cube.
    ///   - values: the objectives, lower is better; nil when the trial failed.
    mutating func tell(_ point: [Double], values: [Double]?)
}

/// The samplers by the names that journals and command lines use.
public enum SamplerKind: String, Sendable, Hashable, NamedCase {
    /// Evenly spread points; learns nothing.
    case quasiRandom = "quasi-random"
    /// Tree-structured Parzen estimator.
    case tpe

    /// A sampler that has seen nothing.
    ///
    /// - Parameters:
    ///   - dimensions: from 1 to 1,229.
    ///   - objectives: 1 or 2.
    public func make(dimensions: Int, objectives: Int, seed: UInt64) -> any Sampler {
        switch self {
        case .quasiRandom: QuasiRandomSampler(dimensions: dimensions, objectives: objectives, seed: seed)
        case .tpe: TPESampler(dimensions: dimensions, objectives: objectives, seed: seed)
        }
    }
}
