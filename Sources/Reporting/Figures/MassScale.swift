import Glibc

/// Attention masses on a logarithmic scale in even levels.
struct MassScale {
    /// Masses below this share of the greatest look as if they were it.
    private static let least = 1e-5

    /// The masses at the scale's ends.
    let range: ClosedRange<Double>

    /// A scale for the masses on and below the diagonal; nil when there are none.
    init?(_ mass: [[Double]]) {
        let drawn = mass.enumerated().flatMap { $1.prefix($0 + 1) }.filter { $0.isFinite && $0 > 0 }
        guard let most = drawn.max(), let least = drawn.min() else { return nil }
        range = max(most * Self.least, least)...most
    }

    /// The level of a mass among `count`, 0 for the least and for zero; nil when it is no number.
    func level(_ mass: Double, of count: Int) -> Int? {
        guard mass.isFinite else { return nil }
        guard mass > range.lowerBound else { return 0 }
        let share = log(mass / range.lowerBound) / log(range.upperBound / range.lowerBound)
        return min(count - 1, Int(share * Double(count)))
    }
}
