import AttentionCore

/// A strict JSON parser (RFC 8259) for untrusted files: bounded depth, exact integers, no repeated names. Its only extension are the
/// words NaN, Infinity and -Infinity, which Python writes for numbers that JSON lacks; fields that must be finite refuse them.
struct JSONParser {
    /// Arrays and objects inside each other; model files need about 6.
    static let maximumDepth = 64

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private let field: String
    private var position = 0
    private var depth = 0

    private init(_ bytes: UnsafeRawBufferPointer, file: String, field: String) {
        self.bytes = bytes
        self.file = file
        self.field = field
    }

    /// The object that `bytes` spell. `field` names the part of the file in errors.
    ///
    /// - Throws: `InputError` (`invalidData`) with the byte offset of the first violation.
    static func object(
        _ bytes: UnsafeRawBufferPointer, file: String, field: String = "JSON"
    ) throws(InputError) -> JSONObject {
        var parser = JSONParser(bytes, file: file, field: field)
        let value = try parser.value()
        parser.skipSpaces()
        guard parser.position == bytes.count else { throw parser.failure("must end after the first value") }
        guard let object = value.object else { throw parser.failure("must be an object") }
        return object
    }

    private func failure(_ rule: String) -> InputError {
        InputError(.invalidData, file: file, field: field, value: "byte \(position)", rule: rule)
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpaces() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpaces()
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value() throws(InputError) -> JSONValue {
        skipSpaces()
        switch current {
        case UInt8(ascii: "{"): return try nested { parser throws(InputError) in .object(try parser.members()) }
        case UInt8(ascii: "["): return try nested { parser throws(InputError) in .array(try parser.elements()) }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N"): return try word("NaN", .number(.nan))
        case UInt8(ascii: "I"): return try word("Infinity", .number(.infinity))
        case UInt8(ascii: "-") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "I"):
            return try word("-Infinity", .number(-.infinity))
        case nil: throw failure("the JSON text ends too early")
        default: return try number()
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(InputError) -> JSONValue
    ) throws(InputError) -> JSONValue {
        position += 1
        depth += 1
        guard depth <= Self.maximumDepth else { throw failure("must not nest deeper than \(Self.maximumDepth)") }
        defer { depth -= 1 }
        return try body(&self)
    }

    private mutating func members() throws(InputError) -> JSONObject {
        var object = JSONObject()
        var names: Set<ExactText> = []
        if take("}") { return object }
        repeat {
            skipSpaces()
            guard current == UInt8(ascii: "\"") else { throw failure("expected a member name in quotes") }
            let name = try string()
            guard names.insert(ExactText(name)).inserted else { throw failure("the name \"\(name)\" occurs twice") }
            guard take(":") else { throw failure("expected a colon") }
            object.members.append((name, try value()))
        } while take(",")
        guard take("}") else { throw failure("expected a comma or }") }
        return object
    }

    private mutating func elements() throws(InputError) -> [JSONValue] {
        var values: [JSONValue] = []
        if take("]") { return values }
        repeat { values.append(try value()) } while take(",")
        guard take("]") else { throw failure("expected a comma or ]") }
        return values
    }

    private mutating func word(_ spelling: StaticString, _ value: JSONValue) throws(InputError) -> JSONValue {
        let count = spelling.utf8CodeUnitCount
        let expected = UnsafeRawBufferPointer(start: spelling.utf8Start, count: count)
        guard bytes[position...].prefix(count).elementsEqual(expected) else { throw failure("unknown word") }
        position += count
        return value
    }
}

// MARK: - Numbers

extension JSONParser {
    private mutating func digits() -> Int {
        let start = position
        while let byte = current, byte &- 0x30 < 10 { position += 1 }
        return position - start
    }

    private mutating func number() throws(InputError) -> JSONValue {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        let leadingZero = current == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !leadingZero || whole == 1 else { throw failure("expected a value") }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            guard digits() > 0 else { throw failure("expected digits after the point") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw failure("expected digits in the exponent") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure("the number is out of range") }
        return .number(value)
    }
}

// MARK: - Strings

extension JSONParser {
    private mutating func string() throws(InputError) -> String {
        position += 1
        let start = position
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if current == UInt8(ascii: "\"") {  // Most strings hold no escape and are taken whole.
            defer { position += 1 }
            return try text(bytes[start..<position])
        }
        var buffer = Array(bytes[start..<position])
        while let byte = current, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw failure("control characters in strings must be escaped") }
            position += 1
            if byte == UInt8(ascii: "\\") { try escape(into: &buffer) } else { buffer.append(byte) }
        }
        guard current != nil else { throw failure("the JSON text ends inside a string") }
        position += 1
        return try text(buffer[...])
    }

    private func text(_ utf8: some Collection<UInt8>) throws(InputError) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else { throw failure("must be UTF-8") }
        return text
    }

    private mutating func escape(into buffer: inout [UInt8]) throws(InputError) {
        guard let kind = current else { throw failure("the JSON text ends inside a string") }
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(kind)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"): buffer.append(contentsOf: Array(String(try escapedScalar()).utf8))
        default: throw failure("unknown escape")
        }
    }

    private mutating func escapedScalar() throws(InputError) -> Character {
        var value = try fourHexDigits()
        if 0xD800..<0xDC00 ~= value {
            guard current == UInt8(ascii: "\\") else { throw failure("half a surrogate pair") }
            position += 1
            guard current == UInt8(ascii: "u") else { throw failure("half a surrogate pair") }
            position += 1
            let low = try fourHexDigits()
            guard 0xDC00..<0xE000 ~= low else { throw failure("half a surrogate pair") }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw failure("half a surrogate pair") }
        return Character(scalar)
    }

    private mutating func fourHexDigits() throws(InputError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw failure("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
