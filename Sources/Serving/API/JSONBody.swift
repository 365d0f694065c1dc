import Foundation

/// Bodies of requests and answers.
enum JSONBody {
    /// Reads a request; what cannot be read is told with the field's name.
    ///
    /// - Throws: `APIError` (400).
    static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws(APIError) -> Value {
        guard String(validating: data, as: UTF8.self) != nil else {
            throw APIError(400, "The body of the request is not UTF-8.", code: "invalid_utf8")
        }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw refusal(error)
        }
    }

    /// One line of JSON, with its fields in alphabetical order.
    static func encode(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Whatever comes from a measurement is finite, and a number that is not must not cost the answer.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do { return try encoder.encode(value) } catch { preconditionFailure("answers can be written as JSON: \(error)") }
    }

    private static func refusal(_ error: any Error) -> APIError {
        switch error {
        case let error as APIError: return error
        case DecodingError.keyNotFound(let key, let context):
            let name = path(context.codingPath + [key])
            return APIError(400, "Missing required parameter: '\(name)'.", param: name, code: "missing_required_parameter")
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            guard !context.codingPath.isEmpty else {
                return APIError(400, "The body of the request must be a JSON object.", code: "invalid_type")
            }
            let name = path(context.codingPath)
            return APIError(400, "Invalid type for '\(name)'.", param: name, code: "invalid_type")
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            return .invalid(path(context.codingPath), "it is not of the kind that this parameter takes")
        default:
            return APIError(
                400, "The body of the request is not valid JSON, or has a number that is not whole where it must be.", code: "invalid_json")
        }
    }

    /// `messages[0].content`.
    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { $0 + ($1.intValue.map { "[\($0)]" } ?? ($0.isEmpty ? $1.stringValue : "." + $1.stringValue)) }
    }
}

extension KeyedDecodingContainer {
    /// A whole number; nil where there is none, or null.
    ///
    /// - Throws: `APIError` that names the field for a number that is not whole or too large, of which the decoder does not say where it stands.
    func integer(_ key: Key) throws -> Int? {
        do {
            return try decodeIfPresent(Int.self, forKey: key)
        } catch let error as DecodingError {
            if case .dataCorrupted = error { throw APIError.invalid(key.stringValue, "must be a whole number") }
            throw error
        } catch {
            throw APIError.invalid(key.stringValue, "must be a whole number")
        }
    }
}

/// Any JSON value, for fields of which only some values can be served.
enum JSONFragment: Hashable, Sendable, Decodable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONFragment])
    case object([String: JSONFragment])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONFragment].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONFragment].self))
        }
    }
}
