/// A share in (0, 1], such as α = 0.95 or a window ratio of 0.08. Never a percentage: 8 is refused.
public struct Fraction: Hashable, Comparable, Sendable {
    public let value: Double

    /// One: everything.
    public static let one = Fraction(unchecked: 1)

    private init(unchecked value: Double) { self.value = value }

    /// - Throws: `InputError` (`usage`) when `value` is NaN or outside (0, 1]. `field` names the value in the message.
    public init(_ value: Double, field: String = "fraction") throws(InputError) {
        guard value > 0, value <= 1 else {
            throw InputError(.usage, field: field, value: "\(value)", rule: "must be in (0, 1]")
        }
        self.value = value
    }

    public static func < (left: Fraction, right: Fraction) -> Bool { left.value < right.value }

    /// ⌈fraction · count⌉, at least 1 and at most `count` (0 when `count` is 0).
    public func ceiling(of count: Int) -> Int {
        // The subtraction keeps 0.05 · 100 = 5.000000000000001 from becoming 6.
        min(count, max(1, Int((value * Double(count) - 1e-9).rounded(.up))))
    }
}

extension Fraction: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let value = try container.decode(Double.self)
        try self.init(value, field: decoder.codingPath.isEmpty ? "fraction" : decoder.codingPath.fieldName)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

extension [any CodingKey] {
    /// Where a value stands in a file, as error messages write it: `buckets[0].layers[2][3].parameters.alpha`.
    package var fieldName: String {
        reduce("") { text, key in
            key.intValue.map { "\(text)[\($0)]" } ?? (text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)")
        }
    }
}

extension Fraction: CustomStringConvertible {
    public var description: String { "\(value)" }
}
