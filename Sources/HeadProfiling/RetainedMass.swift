import AttentionCore
import Foundation
import LinearAlgebra

/// The distribution over query rows of the mass a pattern keeps, r_i = Σ_{j kept} P_ij.
///
/// The paper's CRA (cumulative residual attention) is the minimum. The algorithm controls an average of sampled rows, so
/// the mean and low percentiles stand beside it.
public struct RetainedMass: Hashable, Sendable, Codable {
    public let mean, minimum, p1, p5, median: Double
    /// The query index (from the first query row) with the minimum; the first one on ties.
    public let worstQuery: Int

    private enum CodingKeys: String, CodingKey {
        case mean, p1, p5, median, worstQuery
        case minimum = "min"
    }

    /// - Parameter rows: r_i of each query row; must not be empty.
    public init(rows: [Double]) {
        precondition(!rows.isEmpty, "a distribution needs at least one row")
        let sorted = rows.sorted()
        mean = rows.reduce(0, +) / Double(rows.count)
        minimum = sorted[0]
        p1 = Quantiles.ofSorted(sorted, 0.01)
        p5 = Quantiles.ofSorted(sorted, 0.05)
        median = Quantiles.ofSorted(sorted, 0.5)
        worstQuery = rows.firstIndex(of: minimum) ?? 0
    }

    /// From two kernel runs, without stored probabilities: r_i = exp(LSE_kept(i) − LSE_all(i)).
    ///
    /// Shapes: `kept` and `all` [queryHeads][queryCount], natural logarithms.
    public init(head: Int, of shape: AttentionShape, kept: UnsafePointer<Float>, all: UnsafePointer<Float>) {
        let first = head * shape.queryCount
        self.init(rows: (first..<first + shape.queryCount).map { min(1, exp(Double(kept[$0]) - Double(all[$0]))) })
    }
}
