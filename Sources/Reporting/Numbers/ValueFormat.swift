/// How a figure writes its values. One of a few named ways, so that a figure stays a comparable value.
package enum ValueFormat: Hashable, Sendable {
    /// Significant digits, as `NumberFormat.significant`.
    case significant(Int)
    /// Digits after the point, as `NumberFormat.fixed`.
    case fixed(decimals: Int)
    /// A share shown as a percentage, as `NumberFormat.percent`.
    case percent(decimals: Int)
    /// A whole number with grouped thousands; what is not whole, or past 2⁵³, falls back to significant digits.
    case count
    /// Milliseconds, as `NumberFormat.milliseconds`.
    case milliseconds
    /// Seconds, as `NumberFormat.seconds`.
    case seconds

    /// The value as text; "–" when it is NaN or infinite.
    package func text(_ value: Double) -> String {
        switch self {
        case .significant(let digits): NumberFormat.significant(value, digits: digits)
        case .fixed(let decimals): NumberFormat.fixed(value, decimals: decimals)
        case .percent(let decimals): NumberFormat.percent(value, decimals: decimals)
        case .count: wholeNumber(value)
        case .milliseconds: NumberFormat.milliseconds(value)
        case .seconds: NumberFormat.seconds(value)
        }
    }

    private func wholeNumber(_ value: Double) -> String {
        guard let whole = Int(exactly: value), whole.magnitude < 1 << 53 else { return NumberFormat.significant(value) }
        return NumberFormat.count(whole)
    }
}
