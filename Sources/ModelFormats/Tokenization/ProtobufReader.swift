import AttentionCore

/// Reads the fields of one protocol-buffer message, one after the other.
///
/// A reader of its own, not swift-protobuf: the three messages of a SentencePiece model need the wire format alone, and a generated
/// library would cost every build of the package far more than these lines. Source: the wire format of protobuf.dev, "Encoding".
struct ProtobufReader {
    /// A field's content, by its kind on the wire.
    enum Content {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64(UInt64)
        case bytes(UnsafeRawBufferPointer)
    }

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    /// Where the message stands, for errors.
    private let field: String
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer, file: String, field: String) {
        self.bytes = bytes
        self.file = file
        self.field = field
    }

    /// The next field, or nil at the end.
    ///
    /// - Throws: `InputError` (`invalidData`) when the message is cut short or holds no protocol buffer.
    mutating func next() throws(InputError) -> (number: Int, content: Content)? {
        guard position < bytes.count else { return nil }
        let key = try varint()
        let number = key >> 3
        guard number > 0, number < 1 << 29 else { throw failure("must be a protocol buffer") }
        switch key & 7 {
        case 0: return (Int(number), .varint(try varint()))
        case 1: return (Int(number), .fixed64(try fixed(8)))
        case 2:
            let count = try varint()
            guard count <= UInt64(bytes.count - position) else { throw failure("a field must end within the file") }
            defer { position += Int(count) }
            return (Int(number), .bytes(UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)])))
        case 5: return (Int(number), .fixed32(UInt32(try fixed(4))))
        default: throw failure("must be a protocol buffer")
        }
    }

    private mutating func varint() throws(InputError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard position < bytes.count else { throw failure("a number must end within the file") }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw failure("a number must have at most 10 bytes")
    }

    /// A little-endian number of so many bytes.
    private mutating func fixed(_ count: Int) throws(InputError) -> UInt64 {
        guard count <= bytes.count - position else { throw failure("a number must end within the file") }
        defer { position += count }
        return (0..<count).reduce(0) { $0 | UInt64(bytes[position + $1]) << UInt64(8 * $1) }
    }

    private func failure(_ rule: String) -> InputError {
        InputError(.invalidData, file: file, field: field, value: "byte \(position)", rule: rule)
    }
}

extension ProtobufReader.Content {
    /// An integer, of 32 bits or more; nil for other kinds.
    var integer: Int? { if case .varint(let value) = self { Int(truncatingIfNeeded: value) } else { nil } }
    var bool: Bool? { integer.map { $0 != 0 } }
    var float: Float? { if case .fixed32(let bits) = self { Float(bitPattern: bits) } else { nil } }
    var bytes: UnsafeRawBufferPointer? { if case .bytes(let bytes) = self { bytes } else { nil } }
    /// A text; nil for other kinds and what is not UTF-8.
    var text: String? { bytes.flatMap { String(validating: $0, as: UTF8.self) } }
}
