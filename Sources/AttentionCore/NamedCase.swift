/// An enumeration that files know by its cases' names. Decoding any other name says which there are.
public protocol NamedCase: RawRepresentable<String>, CaseIterable, Codable {}

extension NamedCase {
    /// - Throws: `InputError` (`invalidData`) that names the field, the value and the known names.
    public init(from decoder: any Decoder) throws {
        let name = try decoder.singleValueContainer().decode(String.self)
        guard let value = Self(rawValue: name) else {
            throw InputError(
                .invalidData, field: decoder.codingPath.isEmpty ? nil : decoder.codingPath.fieldName, value: name,
                rule: "must be one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = value
    }
}
