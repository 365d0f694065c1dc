/// Swift's `min` and `max` pass over what is not a number: `min(1, .nan)` is 1, so a broken share would count as a full one. These
/// keep it, in whichever argument it stands.
extension FloatingPoint {
    /// The nearest number of a range: for what rounding carried out of it. What is not a number stays so, and what is infinite becomes so:
    /// no rounding leads there. Zero comes out positive where the range begins at zero.
    @inlinable
    package func clamped(to range: ClosedRange<Self>) -> Self {
        guard isFinite else { return .nan }
        return self <= range.lowerBound ? range.lowerBound : self > range.upperBound ? range.upperBound : self
    }

    /// A share of a whole, of which rounding left a little less than nothing or more than everything; see `clamped(to:)`.
    @inlinable
    package var clampedShare: Self { clamped(to: 0...1) }

    /// The smaller of two numbers; not a number when either is none.
    @inlinable
    package static func smaller(_ a: Self, _ b: Self) -> Self { a < b || a.isNaN ? a : b }

    /// The larger of two numbers; not a number when either is none.
    @inlinable
    package static func larger(_ a: Self, _ b: Self) -> Self { a > b || a.isNaN ? a : b }
}

extension Sequence where Element: FloatingPoint {
    /// The smallest element, not a number when one of them is none; nil without elements.
    @inlinable
    package func least() -> Element? { reduce(nil) { least, element in least.map { .smaller($0, element) } ?? element } }

    /// The largest element, not a number when one of them is none; nil without elements.
    @inlinable
    package func largest() -> Element? { reduce(nil) { largest, element in largest.map { .larger($0, element) } ?? element } }
}
