/// Numbers as people read them: pure functions, the same in every locale. NaN and infinities read "–".
package enum NumberFormat {
    /// What stands for a value that is missing, NaN or infinite.
    package static let missing = "–"

    /// Exactly `decimals` digits after the point: `fixed(0.94249, decimals: 3)` is "0.942".
    package static func fixed(_ value: Double, decimals: Int) -> String {
        precondition(decimals >= 0, "a count of decimals is not negative")
        guard value.isFinite else { return missing }
        var digits = DecimalDigits(value)
        digits.round(toDigits: digits.exponent + decimals)
        return digits.plain(decimals: decimals)
    }

    /// `digits` significant digits; plain notation from 10⁻⁴ up to 10⁶, scientific ("1.23e-7") outside.
    package static func significant(_ value: Double, digits count: Int = 3) -> String {
        precondition(count > 0, "at least one digit")
        guard value.isFinite else { return missing }
        guard value != 0 else { return "0" }
        var digits = DecimalDigits(value)
        digits.round(toDigits: count)
        guard (-3...6).contains(digits.exponent) else { return digits.scientific(digits: count) }
        return digits.plain(decimals: max(0, count - digits.exponent))
    }

    /// A whole number with its thousands grouped: "131,072".
    package static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        let groups = stride(from: digits.count, to: 0, by: -3).map { end in
            String(digits.prefix(end).suffix(3))
        }
        return (value < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
    }

    /// A share as a percentage: `percent(0.9418)` is "94.2 %".
    package static func percent(_ share: Double, decimals: Int = 1) -> String {
        share.isFinite ? fixed(share * 100, decimals: decimals) + " %" : missing
    }

    /// A sum of scores, whole where it is whole: "12", "11.4".
    package static func score(_ right: Double) -> String {
        right == right.rounded() ? fixed(right, decimals: 0) : fixed(right, decimals: 1)
    }

    /// The same beside what was asked: "12/12".
    package static func score(_ right: Double, of count: Int) -> String { "\(score(right))/\(count)" }

    /// Milliseconds in, text out, to three digits: "0.123 ms", "12.3 ms", "1230 ms".
    package static func milliseconds(_ milliseconds: Double) -> String { measured(milliseconds, unit: "ms") }

    /// Seconds in, text out, to three digits: "0.123 s", "12.3 s". For long spans see `duration`.
    package static func seconds(_ seconds: Double) -> String { measured(seconds, unit: "s") }

    /// A size in binary units to three digits: "512 B", "1.50 GiB".
    package static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        guard count.magnitude >= 1024 else { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        // 1023.5 would round to 1024 of the smaller unit.
        while value.magnitude >= 1023.5, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(fixed(value, decimals: value.magnitude < 9.995 ? 2 : value.magnitude < 99.95 ? 1 : 0)) \(units[unit])"
    }

    /// A span of time to the second, its two largest units: "8 s", "1 m 20 s", "2 h 05 m", "3 d 04 h".
    package static func duration(_ span: Duration) -> String {
        let (whole, attoseconds) = span.components
        // The attoseconds carry the sign of the span; a negative span has no meaning here and reads as none.
        let seconds = max(0, whole + (attoseconds >= 500_000_000_000_000_000 ? 1 : 0))
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) m \(twoDigits(seconds % 60)) s"
        case ..<86400: return "\(seconds / 3600) h \(twoDigits(seconds / 60 % 60)) m"
        default: return "\(seconds / 86400) d \(twoDigits(seconds / 3600 % 24)) h"
        }
    }

    /// Three significant digits, but never scientific for the whole numbers a stopwatch gives.
    private static func measured(_ value: Double, unit: String) -> String {
        guard value.isFinite else { return missing }
        let isLarge = (999.5..<1e15).contains(value.magnitude)
        return (isLarge ? fixed(value, decimals: 0) : significant(value)) + " " + unit
    }

    private static func twoDigits(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
