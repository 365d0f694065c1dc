/// What a decoder found wrong with a file, in the words of the file and not of the program's types.
package struct DecodingFault {
    /// The field at fault, such as `heads[3].alpha`; nil where it is the whole text.
    package let field: String?
    /// The value found, where it is known.
    package let value: String?
    /// What the value should have been; nil when the text is no JSON at all.
    package let rule: String?

    package init(_ error: any Error) {
        switch error {
        case let error as InputError: self.init(field: error.field, value: error.value, rule: error.rule)
        case DecodingError.keyNotFound(let key, let context): self.init(context.codingPath + [key], rule: "is missing")
        case DecodingError.typeMismatch(let type, let context): self.init(context.codingPath, rule: "must be \(Self.name(type))")
        case DecodingError.valueNotFound(let type, let context):
            self.init(context.codingPath, value: "null", rule: "must be \(Self.name(type))")
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            self.init(context.codingPath, rule: context.debugDescription)
        default: self.init(field: nil, value: nil, rule: nil)
        }
    }

    private init(_ path: [any CodingKey], value: String? = nil, rule: String) {
        self.init(field: path.isEmpty ? nil : path.fieldName, value: value, rule: rule)
    }

    private init(field: String?, value: String?, rule: String?) {
        (self.field, self.value, self.rule) = (field, value, rule)
    }

    /// A type as JSON knows it.
    private static func name(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: return "a text"
        case is Bool.Type: return "true or false"
        case is any FixedWidthInteger.Type: return "a whole number"
        case is any BinaryFloatingPoint.Type: return "a number"
        default:
            let name = "\(type)"
            return name.hasPrefix("Array<") ? "a list" : name.hasPrefix("Dictionary<") ? "an object" : "of another type"
        }
    }
}
