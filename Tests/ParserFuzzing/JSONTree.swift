import Foundation

/// A JSON text as a tree that may be no JSON any more: names may repeat and `raw` may hold anything.
indirect enum JSONTree: Sendable {
    /// Written as it is: numbers, words, and what only looks like them.
    case raw(String)
    case string(String)
    case list([JSONTree])
    case object([(name: String, value: JSONTree)])

    /// Values that readers trip over: ends of number types, what is missing, what is too long and what is too deep.
    static let extremes: [JSONTree] =
        [
            "0", "-0", "1", "-1", "2", "3", "0.5", "-0.5", "255", "256", "257", "65536", "2147483647", "2147483648", "4294967296",
            "9007199254740993", "1099511627776", "1099511627777", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e15", "1e19", "1e300", "-1e300", "1e999", "-1e999",
            "1e-400", "5e-324", "1.0", "1e0", "00", "+1", "1.", ".5", "NaN", "Infinity", "-", "null", "true", "false", "nul", "", "[]",
            "{}", "\"", "'a'", "[1,]", "{\"a\":1,}", "// a\n1", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\\u0000\"", "\"\u{1}\"",
        ].map(JSONTree.raw)
        + ["", " ", "a", "é", "e\u{301}", "\u{FFFD}", "\u{0}", "../x", "/", "-1", "\r\n", "\u{1F469}\u{200D}\u{1F469}"].map(
            JSONTree.string)
        + [
            .raw(String(repeating: "9", count: 400)), .raw("1e" + String(repeating: "9", count: 400)),
            .raw("0." + String(repeating: "0", count: 400) + "1"), .string(String(repeating: "a", count: 70_000)),
            .string(String(repeating: "é", count: 5_000)), .list(Array(repeating: .raw("null"), count: 2_000)),
            .raw(String(repeating: "[", count: 60) + String(repeating: "]", count: 60)),
            .raw(String(repeating: "[", count: 500) + String(repeating: "]", count: 500)), .raw(String(repeating: "[", count: 100_000)),
            .raw(String(repeating: "{\"a\":", count: 500) + "1" + String(repeating: "}", count: 500)),
            .raw(String(repeating: "{\"a\":", count: 20_000)),
        ]

    var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .raw(let raw): text += raw
        case .string(let string): Self.write(string, to: &text)
        case .list(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                Self.write(member.name, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case _ where scalar.value < 0x20: text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension JSONTree: Decodable {
    /// The tree of a JSON text; members of objects in the order of their names.
    init(parsing data: Data) throws { self = try JSONDecoder().decode(JSONTree.self, from: data) }

    init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Name.self) {
            let names = members.allKeys.sorted { $0.stringValue < $1.stringValue }
            self = .object(try names.map { ($0.stringValue, try members.decode(JSONTree.self, forKey: $0)) })
        } else if var elements = try? decoder.unkeyedContainer() {
            var list: [JSONTree] = []
            while !elements.isAtEnd { list.append(try elements.decode(JSONTree.self)) }
            self = .list(list)
        } else {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .raw("null")
            } else if let bool = try? value.decode(Bool.self) {
                self = .raw("\(bool)")
            } else if let integer = try? value.decode(Int.self) {
                self = .raw("\(integer)")
            } else if let number = try? value.decode(Double.self) {
                self = .raw("\(number)")
            } else {
                self = .string(try value.decode(String.self))
            }
        }
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
