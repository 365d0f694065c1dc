/// The quantiles of a sample, each linearly interpolated between two neighbours in ascending order.
///
/// With x_0 ≤ … ≤ x_(n−1), h = (n − 1) · fraction and i = ⌊h⌋ the quantile is (1 − (h − i)) · x_i + (h − i) · x_(i+1), and x_i alone
/// where h is whole: so the quantile 0 is the least, 1 the greatest, and infinite neighbours do no harm. In a sample that holds
/// something that is not a number there is no order, and none of its quantiles is a number; nor in an empty one.
///
/// Source: Hyndman and Fan, "Sample Quantiles in Statistical Packages" (The American Statistician 50, 1996), type 7; NumPy's default.
package struct Quantiles: Sendable {
    /// Ascending; nothing but NaN where there is no order.
    private let ascending: [Double]

    /// - Parameter sample: in any order.
    /// Complexity: O(n log n).
    package init(_ sample: [Double]) { ascending = sample.contains { $0.isNaN } ? [.nan] : sample.sorted() }

    /// The quantile at a fraction in [0, 1]. Complexity: O(1).
    package func at(_ fraction: Double) -> Double {
        precondition((0...1).contains(fraction), "a fraction lies in [0, 1]")
        guard !ascending.isEmpty else { return .nan }
        let place = Double(ascending.count - 1) * fraction
        let index = Int(place)
        let share = place - Double(index)
        return share == 0 ? ascending[index] : (1 - share) * ascending[index] + share * ascending[index + 1]
    }

    /// The quantile at ½.
    package var median: Double { at(0.5) }

    /// The median of a sample in any order. Complexity: O(n log n).
    package static func median(_ sample: [Double]) -> Double { Quantiles(sample).median }
}
