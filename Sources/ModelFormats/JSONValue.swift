/// One JSON value (RFC 8259), kept as it was written: integers stay exact and members keep their order.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// A short text for error messages.
    package var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .array(let values) where values.count <= 8: "[\(values.map(\.summary).joined(separator: ", "))]"
        case .array(let values): "a list of \(values.count)"
        case .object(let object): "an object of \(object.members.count)"
        }
    }

    package var isNull: Bool { if case .null = self { true } else { false } }
    package var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var array: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
    package var object: JSONObject? { if case .object(let object) = self { object } else { nil } }

    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

/// The members of a JSON object in file order; the parser refuses a name that occurs twice.
package struct JSONObject: Sendable {
    package init(members: [(name: String, value: JSONValue)] = []) { self.members = members }

    package var members: [(name: String, value: JSONValue)] = []

    /// The value of `name`, or nil; O(members), so loop over `members` where there are many.
    package subscript(name: String) -> JSONValue? {
        members.first { ExactText($0.name) == ExactText(name) }?.value
    }
}

/// A text compared by its UTF-8 bytes. `String` itself calls "é" and "e" + U+0301 equal, which token tables must not.
struct ExactText: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var copy = text
        copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
