/// Why a request is not answered, as the API tells its clients: `{"error": {"message", "type", "param", "code"}}` with an HTTP status.
package struct APIError: Error, Hashable, Sendable {
    package let status: Int
    package let message: String
    package let type: Kind
    /// The field of the request at fault, if one is.
    package let param: String?
    package let code: String?
    /// When another try may go better. Units: seconds.
    package var retryAfter: Int?

    package enum Kind: String, Codable, Sendable {
        case invalidRequest = "invalid_request_error"
        case authentication = "authentication_error"
        case server = "server_error"
    }

    package init(_ status: Int, _ message: String, type: Kind = .invalidRequest, param: String? = nil, code: String? = nil) {
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
    }

    /// A value of a field that cannot be used.
    static func invalid(_ param: String, _ rule: String, code: String = "invalid_value") -> APIError {
        APIError(400, "Invalid value for '\(param)': \(rule).", param: param, code: code)
    }
}

extension APIError: Encodable {
    private enum Outer: String, CodingKey { case error }
    private enum Inner: String, CodingKey { case message, type, param, code }

    /// Fields without a value are null, as clients expect.
    package func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Outer.self)
        var inner = outer.nestedContainer(keyedBy: Inner.self, forKey: .error)
        try inner.encode(message, forKey: .message)
        try inner.encode(type, forKey: .type)
        try inner.encode(param, forKey: .param)
        try inner.encode(code, forKey: .code)
    }
}
