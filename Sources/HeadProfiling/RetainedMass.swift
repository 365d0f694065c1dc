import AttentionCore
import Foundation
import SampleStatistics

/// The distribution over query rows of the mass a pattern keeps, r_i = Σ_{j kept} P_ij.
///
/// The paper's CRA (cumulative residual attention) is the minimum. The algorithm controls an average of sampled rows, so
/// the mean and low percentiles stand beside it.
public struct RetainedMass: Hashable, Sendable, Codable {
    public let mean, minimum, p1, p5, median: Double
    /// The query index (from the first query row) with the minimum; the first one on ties, or the first whose mass is not a number.
    public let worstQuery: Int

    private enum CodingKeys: String, CodingKey {
        case mean, p1, p5, median, worstQuery
        case minimum = "min"
    }

    /// - Parameter rows: r_i of each query row; must not be empty. Where one is not a number, nothing that is said of all of them is.
    public init(rows: [Double]) {
        precondition(!rows.isEmpty, "a distribution needs at least one row")
        let quantiles = Quantiles(rows)
        mean = rows.reduce(0, +) / Double(rows.count)
        (minimum, p1, p5, median) = (quantiles.at(0), quantiles.at(0.01), quantiles.at(0.05), quantiles.median)
        worstQuery = rows.firstIndex { [minimum] in $0 == minimum || $0.isNaN } ?? 0
    }

    /// From two kernel runs, without stored probabilities: r_i = exp(LSE_kept(i) − LSE_all(i)); not a number where either is not.
    ///
    /// Shapes: `kept` and `all` [queryHeads][queryCount], natural logarithms.
    public init(head: Int, of shape: AttentionShape, kept: UnsafePointer<Float>, all: UnsafePointer<Float>) {
        let first = head * shape.queryCount
        self.init(rows: (first..<first + shape.queryCount).map { exp(Double(kept[$0]) - Double(all[$0])).clampedShare })
    }
}
