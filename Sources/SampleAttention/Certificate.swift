import AttentionCore
import SampleStatistics

/// What can be said of one head's retained mass without having scored all of its rows.
///
/// r_i = Σ_{j kept} P_ij is the retained mass of query row i. Rows are drawn at random, with replacement, after the pattern is settled
/// and from rows whose mass is not known yet, so their masses are independent draws, whatever the selection has looked at. Each bound holds with probability at least `confidence` over the draws, alone; two of them together with at least
/// 2 · confidence − 1, and all heads of a model with what 1 − heads · (1 − confidence) leaves.
/// Masses are in the kernel's precision.
public struct Certificate: Codable, Hashable, Sendable {
    /// 1 − δ, also when `isExact`.
    public let confidence: Double
    /// True when no chance is involved: the head is dense, or every unseen row was measured.
    public let isExact: Bool
    /// True when the head attends to everything.
    public let isDense: Bool
    /// What had to be done to reach `Certification.minimumMass`.
    public let escalation: Escalation

    /// Query rows of the head in this call.
    public let rows: Int
    /// Those at the prompt's end that see everything; r = 1.
    public let denseRows: Int
    /// Those the selection scored, dense ones excepted, where it reports their mean mass: SampleAttention's own does, other methods do not,
    /// and their rows are all drawn from.
    public let scoredRows: Int
    /// All others; nil when there are none.
    public let unseen: UnseenRows?

    /// The mean of r over all rows, estimated: (dense rows + Σ of the scored rows + unseen rows · mean of the draws) / rows.
    /// Unbiased where the scored rows' sum is exact (stripe-window, window-aware, none of them dense), else at most that: for them
    /// a lower bound stands in.
    public let meanMass: Double
    /// The mean of r over all rows is at least this.
    public let meanLowerBound: Double
    /// α of the head's parameters, as they were before any escalation; `Certification.standardAlpha` where another method chose.
    public let alpha: Double
    /// At least this share of all rows has r ≥ α.
    public let shareLowerBound: Double

    /// An upper bound of D, the largest L1 distance of two value rows.
    public let valueDiameter: Double
    /// The mean over all rows of the output's L1 error is at most this beside the kernel's rounding: (1 − meanLowerBound) · D, for
    /// ‖o − ô‖₁ ≤ (1 − r)·D in exact arithmetic. `notebooks-md/theory.md` bounds the rounding and `verify` measures it.
    public let meanErrorBound: Double
    /// For at least `shareLowerBound` of all rows the output's L1 error is at most this beside the kernel's rounding: (1 − α) · D.
    public let rowErrorBound: Double

    /// How far a head was changed because its bound missed the least mass.
    public enum Escalation: String, Codable, Hashable, Sendable, CaseIterable {
        /// It is as its parameters say.
        case none
        /// It keeps more columns, blocks and slashes, or key blocks.
        case columns
        /// It attends to everything.
        case dense
    }

    /// The rows whose mass is not known: neither dense nor among `scoredRows`.
    public struct UnseenRows: Codable, Hashable, Sendable {
        /// How many there are.
        public let count: Int
        /// How many were drawn, or `count` when all were measured.
        public let drawn: Int
        /// The mean of r over the draws: an unbiased estimate of the mean over the unseen rows.
        public let meanMass: Double
        /// The mean over the unseen rows is at least this; `MeanLowerBound.betting`.
        public let meanLowerBound: Double
        /// The same by `MeanLowerBound.empiricalBernstein`; not used further.
        public let meanBernsteinBound: Double
        /// The share of the draws with r ≥ α: an unbiased estimate.
        public let share: Double
        /// The share of the unseen rows with r ≥ α is at least this; `BinomialBounds.lowerBound`.
        public let shareLowerBound: Double
        /// The least r of the draws; of other rows it says nothing.
        public let leastMass: Double
    }
}

extension Certificate.UnseenRows {
    /// - Parameters:
    ///   - count: rows in the population.
    ///   - draws: their masses in the order of the draws; all of them, in any order, when `isCensus`.
    ///   - failure: δ.
    init(count: Int, draws: [Double], isCensus: Bool, alpha: Double, failure: Double) {
        self.count = count
        drawn = draws.count
        meanMass = draws.reduce(0, +) / Double(draws.count)
        leastMass = draws.least() ?? 1
        let reached = draws.count { $0 >= alpha }
        share = Double(reached) / Double(draws.count)
        if isCensus {
            (meanLowerBound, meanBernsteinBound, shareLowerBound) = (meanMass, meanMass, share)
        } else {
            meanLowerBound = MeanLowerBound.betting.of(draws, failure: failure)
            meanBernsteinBound = MeanLowerBound.empiricalBernstein.of(draws, failure: failure)
            shareLowerBound = BinomialBounds.lowerBound(successes: reached, of: draws.count, failure: failure)
        }
    }
}

extension Certificate {
    /// A head that attends to everything.
    static func dense(rows: Int, alpha: Double, escalation: Escalation, confidence: Double, valueDiameter: Double) -> Certificate {
        Certificate(
            confidence: confidence, isExact: true, isDense: true, escalation: escalation, rows: rows, denseRows: rows, scoredRows: 0,
            unseen: nil, meanMass: 1, meanLowerBound: 1, alpha: alpha, shareLowerBound: 1, valueDiameter: valueDiameter, meanErrorBound: 0,
            rowErrorBound: 0)
    }

    /// What follows for all rows from what was found in the unseen ones.
    package init(
        _ strata: RowStrata, unseen: UnseenRows?, alpha: Double, escalation: Escalation, confidence: Double, valueDiameter: Double
    ) {
        let meanLowerBound = strata.mean(ofUnseen: unseen?.meanLowerBound ?? 1)
        self.init(
            confidence: confidence, isExact: unseen.map { $0.drawn == $0.count } ?? true, isDense: false, escalation: escalation,
            rows: strata.queryCount, denseRows: strata.denseRows, scoredRows: strata.scored.count, unseen: unseen,
            meanMass: strata.mean(ofUnseen: unseen?.meanMass ?? 1), meanLowerBound: meanLowerBound, alpha: alpha,
            shareLowerBound: strata.share(ofUnseen: unseen?.shareLowerBound ?? 1, alpha: alpha), valueDiameter: valueDiameter,
            meanErrorBound: (1 - meanLowerBound) * valueDiameter, rowErrorBound: (1 - alpha) * valueDiameter)
    }
}
