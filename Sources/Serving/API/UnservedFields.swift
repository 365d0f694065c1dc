/// Fields of the API that change what an answer is and that this server does not have: refused, unless their value asks for nothing. All
/// other fields that are not known are passed over, as the API does.
enum UnservedFields {
    /// What asks for nothing, beside null.
    private static let harmless: [String: [JSONFragment]] = [
        "n": [.number(1)], "best_of": [.number(1)], "echo": [.bool(false)], "suffix": [.string("")],
        "tools": [.array([])], "tool_choice": [.string("none"), .string("auto")], "functions": [.array([])],
        "function_call": [.string("none"), .string("auto")],
        "response_format": [.object(["type": .string("text")])], "modalities": [.array([.string("text")])], "audio": [],
        "web_search_options": [], "logit_bias": [.object([:])], "presence_penalty": [.number(0)], "frequency_penalty": [.number(0)],
        "reasoning_effort": [.string("none")], "verbosity": [.string("medium")],
    ]

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// - Throws: `APIError` that names the first such field in alphabetical order.
    static func refuse(in decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for key in container.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) {
            guard let allowed = harmless[key.stringValue] else { continue }
            let value = try container.decode(JSONFragment.self, forKey: key)
            if value != .null, !allowed.contains(value) {
                throw APIError(
                    400, "Unsupported parameter: '\(key.stringValue)' is not supported by this server.", param: key.stringValue,
                    code: "unsupported_parameter")
            }
        }
    }
}
