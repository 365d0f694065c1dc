import AttentionCore
import Foundation

/// Any JSON value, taken as it comes; what it should have been is for the reader to say.
indirect enum ForeignValue: Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([ForeignValue])
    case object([String: ForeignValue])

    /// - Throws: `InputError` (`invalidData`) for bytes that are no JSON (RFC 8259), or lists in lists without end.
    init(json data: Data, file: String) throws(InputError) {
        do {
            self = try JSONDecoder().decode(ForeignValue.self, from: data)
        } catch {
            throw InputError(.invalidData, file: file, field: "JSON", rule: Self.rule(error))
        }
    }

    /// A short text for error messages.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): "\"\(value)\""
        case .list(let values): "a list of \(values.count)"
        case .object(let members): "an object of \(members.count)"
        }
    }

    private static func rule(_ error: any Error) -> String {
        guard case DecodingError.dataCorrupted(let context) = error else { return "must be a JSON text" }
        return context.rule
    }
}

extension ForeignValue: Decodable {
    init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Name.self) {
            var object: [String: ForeignValue] = [:]
            for name in members.allKeys { object[name.stringValue] = try members.decode(ForeignValue.self, forKey: name) }
            self = .object(object)
        } else if var elements = try? decoder.unkeyedContainer() {
            var list: [ForeignValue] = []
            while !elements.isAtEnd { list.append(try elements.decode(ForeignValue.self)) }
            self = .list(list)
        } else {
            self = try Self.scalar(decoder.singleValueContainer())
        }
    }

    private static func scalar(_ container: some SingleValueDecodingContainer) throws -> ForeignValue {
        if container.decodeNil() { return .null }
        if let value = try? container.decode(Bool.self) { return .bool(value) }
        if let value = try? container.decode(Double.self) { return .number(value) }
        if let value = try? container.decode(String.self) { return .text(value) }
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "holds a number that is out of range")
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
