import CGSL

/// Order statistics of a sample, by GSL.
public enum Quantiles {
    /// The `fraction` quantile of an ascending sample, linearly interpolated (NumPy's default rule); NaN when empty.
    public static func ofSorted(_ sample: [Double], _ fraction: Double) -> Double {
        guard !sample.isEmpty else { return .nan }
        return gsl_stats_quantile_from_sorted_data(sample, 1, sample.count, fraction)
    }

    /// The median of a sample in any order; NaN when empty.
    public static func median(_ sample: [Double]) -> Double { ofSorted(sample.sorted(), 0.5) }
}
