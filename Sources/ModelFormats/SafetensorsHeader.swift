import AttentionCore

/// The checked table of contents of a safetensors file.
///
/// Layout: an unsigned little-endian 64-bit header length N; N bytes of JSON, an object of
/// name → {dtype, shape, data_offsets}; the data section, which the tensors fill without overlap and without hole.
/// Source: the safetensors format description (github.com/huggingface/safetensors).
struct SafetensorsHeader {
    static let maximumLength = 100_000_000
    static let metadataName = "__metadata__"

    /// The offset of the data section in the file.
    let dataStart: Int
    /// In the order of their bytes.
    let tensors: [SafetensorsTensor]
    /// What the file says of itself.
    let metadata: [String: String]

    private let path: String

    /// - Throws: `InputError` (`invalidData`); its field is the tensor's name, or "header".
    init(_ file: MappedFile) throws(InputError) {
        path = file.path
        try file.checkContent()
        let length = try Self.length(file)
        dataStart = 8 + length
        let json = UnsafeRawBufferPointer(rebasing: file.bytes[8..<dataStart])
        guard json.first == UInt8(ascii: "{") else {
            throw Self.error(file.path, "header", nil, "must begin with {")
        }
        let object = try JSONParser.object(json, file: file.path, field: "header")
        let dataSize = file.bytes.count - dataStart
        var found: [SafetensorsTensor] = []
        var metadata: [String: String] = [:]
        for (name, value) in object.members {
            if name == Self.metadataName {
                metadata = try Self.metadata(value, path: file.path)
            } else {
                found.append(try Self.tensor(name, value, dataSize: dataSize, path: file.path))
            }
        }
        // Tensors without elements share their offset with the next one and must come before it.
        found.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
        tensors = found
        self.metadata = metadata
        try checkCoverage(dataSize: dataSize)
    }

    private static func error(_ path: String, _ field: String, _ value: String?, _ rule: String) -> InputError {
        InputError(.invalidData, file: path, field: field, value: value, rule: rule)
    }

    private static func length(_ file: MappedFile) throws(InputError) -> Int {
        guard file.bytes.count >= 8 else {
            throw error(file.path, "header", "\(file.bytes.count) bytes", "a safetensors file has at least 8 bytes")
        }
        let stored = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard stored <= UInt64(maximumLength) else {
            throw error(file.path, "header", "\(stored) bytes", "must not be longer than \(maximumLength) bytes")
        }
        guard Int(stored) <= file.bytes.count - 8 else {
            throw error(
                file.path, "header", "\(stored) bytes", "must fit in the file, which has \(file.bytes.count) bytes")
        }
        return Int(stored)
    }

    private static func metadata(_ value: JSONValue, path: String) throws(InputError) -> [String: String] {
        guard let object = value.object else { throw error(path, metadataName, value.summary, "must be an object") }
        var strings: [String: String] = [:]
        for member in object.members {
            guard let text = member.value.string else {
                throw error(path, "\(metadataName).\(member.name)", member.value.summary, "must be a text")
            }
            strings[member.name] = text
        }
        return strings
    }

    private func checkCoverage(dataSize: Int) throws(InputError) {
        var end = 0
        for tensor in tensors {
            guard tensor.bytes.lowerBound == end else {
                let fault = tensor.bytes.lowerBound < end ? "overlap another tensor" : "leave a hole"
                throw Self.error(
                    path, tensor.name, "offset \(tensor.bytes.lowerBound)", "must begin at \(end) and not \(fault)")
            }
            end = tensor.bytes.upperBound
        }
        guard end == dataSize else {
            throw Self.error(path, "header", "\(end) bytes", "the tensors must cover all \(dataSize) bytes of data")
        }
    }
}

// MARK: - One tensor

extension SafetensorsHeader {
    private static func tensor(
        _ name: String, _ value: JSONValue, dataSize: Int, path: String
    ) throws(InputError) -> SafetensorsTensor {
        guard let object = value.object else { throw error(path, name, value.summary, "must be an object") }
        guard let typeName = object["dtype"]?.string else {
            throw error(path, name, "dtype \(object["dtype"]?.summary ?? "missing")", "must be a text")
        }
        // Only a tensor that is read must have a known type: formats grow, and a file may hold what nobody here asks for.
        let type = TensorDataType(rawValue: typeName)
        let (shape, size) = try shape(object["shape"], elementSize: type?.size ?? 1, of: name, path: path)
        let bytes = try offsets(object["data_offsets"], dataSize: dataSize, of: name, path: path)
        guard type == nil || bytes.count == size else {
            throw error(path, name, "data_offsets of \(bytes.count) bytes", "\(shape) of \(typeName) takes \(size) bytes")
        }
        return SafetensorsTensor(name: name, typeName: typeName, shape: shape, bytes: bytes)
    }

    /// The extents and the bytes they take.
    private static func shape(
        _ value: JSONValue?, elementSize: Int, of name: String, path: String
    ) throws(InputError) -> ([Int], Int) {
        let found = "shape \(value?.summary ?? "missing")"
        let extents = value?.array?.map(\.integer)
        guard let extents, extents.allSatisfy({ $0.map { $0 >= 0 } ?? false }) else {
            throw error(path, name, found, "must be a list of integers that are not negative")
        }
        let shape = extents.compactMap(\.self)
        var size = elementSize
        for extent in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw error(path, name, found, "must not overflow 64 bits") }
            size = product
        }
        return (shape, size)
    }

    private static func offsets(
        _ value: JSONValue?, dataSize: Int, of name: String, path: String
    ) throws(InputError) -> Range<Int> {
        let found = "data_offsets \(value?.summary ?? "missing")"
        let pair = (value?.array ?? []).map(\.integer)
        guard pair.count == 2, let begin = pair[0], let end = pair[1] else {
            throw error(path, name, found, "must be two integers")
        }
        guard 0 <= begin, begin <= end, end <= dataSize else {
            throw error(path, name, found, "must hold 0 ≤ begin ≤ end ≤ \(dataSize), the size of the data")
        }
        return begin..<end
    }
}
