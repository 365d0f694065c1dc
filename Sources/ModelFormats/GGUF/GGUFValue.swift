/// A value of a GGUF file's metadata, as exact as the file has it.
package enum GGUFValue: Sendable, Equatable {
    case unsigned(UInt64)
    case signed(Int64)
    case float(Float)
    case double(Double)
    case bool(Bool)
    case string(String)
    case array([GGUFValue])

    /// A short text for error messages.
    package var summary: String {
        switch self {
        case .unsigned(let value): "\(value)"
        case .signed(let value): "\(value)"
        case .float(let value): "\(value)"
        case .double(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .array(let values) where values.count <= 8: "[\(values.map(\.summary).joined(separator: ", "))]"
        case .array(let values): "a list of \(values.count)"
        }
    }

    /// The integer, of either kind, when it fits.
    package var integer: Int? {
        switch self {
        case .unsigned(let value): Int(exactly: value)
        case .signed(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The number. A Float is taken by its shortest decimal, which is what it was rounded from: 1e-5 is not 9.9999997e-6.
    package var number: Double? {
        switch self {
        case .unsigned(let value): Double(value)
        case .signed(let value): Double(value)
        case .float(let value): value.isFinite ? Double(value.description) : Double(value)
        case .double(let value): value
        default: nil
        }
    }

    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var array: [GGUFValue]? { if case .array(let values) = self { values } else { nil } }
}
