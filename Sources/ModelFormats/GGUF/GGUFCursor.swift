import AttentionCore

/// Reads a GGUF file's header from its beginning to its end, one field after the other; every length is held against what is left of the
/// file before anything is made of it.
struct GGUFCursor {
    /// Arrays inside each other; model files need one.
    private static let maximumDepth = 8
    /// Elements of all lists together, which take more room in memory than in the file; vocabularies have some 10⁵ to 10⁶.
    private static let maximumElements = 1 << 25

    let bytes: UnsafeRawBufferPointer
    let file: String
    private(set) var offset: Int
    private var elements = 0

    init(_ bytes: UnsafeRawBufferPointer, file: String, offset: Int = 0) {
        self.bytes = bytes
        self.file = file
        self.offset = offset
    }

    var remaining: Int { bytes.count - offset }

    func error(_ field: String, _ value: String?, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: field, value: value, rule: rule)
    }

    /// - Throws: `InputError` (`invalidData`), which names `field`, where the file ends first.
    mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type, of field: String) throws(InputError) -> Integer {
        let size = MemoryLayout<Integer>.size
        guard remaining >= size else { throw error(field, "byte \(offset)", "the file ends there, in the middle of its header") }
        defer { offset += size }
        return Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }

    /// A count of things that take at least `size` bytes each, so that a count that is read is one that can be allocated.
    mutating func count(of field: String, size: Int, limit: Int = .max) throws(InputError) -> Int {
        let start = offset
        let count = try integer(UInt64.self, of: field)
        guard count <= UInt64(remaining / size) else {
            throw error(field, "a count of \(count) at byte \(start)", "must fit in the file, which has \(bytes.count) bytes")
        }
        guard count <= UInt64(limit) else { throw error(field, "a count of \(count) at byte \(start)", "must not exceed \(limit)") }
        return Int(count)
    }

    mutating func string(of field: String) throws(InputError) -> String {
        let length = try count(of: field, size: 1)
        let text = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
        guard let string = String(validating: text, as: UTF8.self) else { throw error(field, "a text at byte \(offset)", "must be UTF-8") }
        offset += length
        return string
    }

    /// A value after its type.
    mutating func value(of field: String) throws(InputError) -> GGUFValue {
        try value(typed: type(of: field), of: field, depth: 0)
    }

    private mutating func type(of field: String) throws(InputError) -> GGUFValueType {
        let id = try integer(UInt32.self, of: field)
        guard let type = GGUFValueType(rawValue: id) else { throw error(field, "a value of type \(id)", "must be a type from 0 to 12") }
        return type
    }

    private mutating func value(typed type: GGUFValueType, of field: String, depth: Int) throws(InputError) -> GGUFValue {
        switch type {
        case .uint8: .unsigned(UInt64(try integer(UInt8.self, of: field)))
        case .int8: .signed(Int64(try integer(Int8.self, of: field)))
        case .uint16: .unsigned(UInt64(try integer(UInt16.self, of: field)))
        case .int16: .signed(Int64(try integer(Int16.self, of: field)))
        case .uint32: .unsigned(UInt64(try integer(UInt32.self, of: field)))
        case .int32: .signed(Int64(try integer(Int32.self, of: field)))
        case .uint64: .unsigned(try integer(UInt64.self, of: field))
        case .int64: .signed(try integer(Int64.self, of: field))
        case .float32: .float(Float(bitPattern: try integer(UInt32.self, of: field)))
        case .float64: .double(Double(bitPattern: try integer(UInt64.self, of: field)))
        case .bool: .bool(try bool(of: field))
        case .string: .string(try string(of: field))
        case .array: .array(try array(of: field, depth: depth + 1))
        }
    }

    private mutating func bool(of field: String) throws(InputError) -> Bool {
        let byte = try integer(UInt8.self, of: field)
        guard byte <= 1 else { throw error(field, "\(byte)", "must be 0 or 1, false or true") }
        return byte == 1
    }

    private mutating func array(of field: String, depth: Int) throws(InputError) -> [GGUFValue] {
        guard depth <= Self.maximumDepth else {
            throw error(field, "byte \(offset)", "lists must not nest deeper than \(Self.maximumDepth)")
        }
        let type = try type(of: field)
        let count = try count(of: field, size: type.smallestSize, limit: Self.maximumElements - elements)
        elements += count
        var values: [GGUFValue] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try value(typed: type, of: field, depth: depth)) }
        return values
    }
}

/// What a metadata value is. Source: `gguf_metadata_value_type` of the format description.
private enum GGUFValueType: UInt32 {
    case uint8 = 0
    case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// Bytes that a value takes at least.
    var smallestSize: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string: 8  // Its length.
        case .array: 12  // Its elements' type and their count.
        }
    }
}
