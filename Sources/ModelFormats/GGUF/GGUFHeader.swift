import AttentionCore

/// The checked table of contents of a GGUF file.
///
/// Layout, little-endian: "GGUF", a 32-bit version, 64-bit counts of tensors and of metadata; the metadata, each a text, a type and a
/// value; of each tensor its name, its extents (innermost first), its type and its offset; padding; the tensors' data.
/// Source: the GGUF format description (github.com/ggml-org/ggml, docs/gguf.md).
struct GGUFHeader {
    static let maximumExtents = 4
    private static let magic: [UInt8] = Array("GGUF".utf8)
    private static let versions: ClosedRange<UInt32> = 2...3
    /// Of tensors, and of metadata; models have some thousands of the one and some tens of the other.
    private static let maximumCount = 1 << 20
    private static let alignmentKey = "general.alignment"

    let metadata: GGUFMetadata
    /// In the order of the file.
    let tensors: [GGUFTensor]

    /// - Throws: `InputError`: `unsupported` for another version or byte order; `invalidData` for what breaks the format; its field is the
    ///   metadata's or the tensor's name, or "header".
    init(_ file: MappedFile) throws(InputError) {
        try file.checkContent()
        var cursor = GGUFCursor(file.bytes, file: file.path)
        try Self.checkBeginning(&cursor)
        // At least a name's length and its extents' count, a type and an offset; at least a key's length, a type and a byte.
        let tensorCount = try cursor.count(of: "header", size: 24, limit: Self.maximumCount)
        let metadataCount = try cursor.count(of: "header", size: 13, limit: Self.maximumCount)
        metadata = try Self.metadata(&cursor, count: metadataCount)
        let alignment = try Self.alignment(metadata)
        var descriptions: [TensorDescription] = []
        for index in 0..<tensorCount { descriptions.append(try TensorDescription(&cursor, index: index)) }
        // Does not overflow: files are shorter than half of what an Int holds, and the alignment is a power of two below that.
        let dataStart = (cursor.offset + alignment - 1) / alignment * alignment
        var tensors: [GGUFTensor] = []
        var names: Set<ExactText> = []
        for description in descriptions {
            guard names.insert(ExactText(description.name)).inserted else {
                throw cursor.error(description.name, nil, "a tensor's name must occur once")
            }
            tensors.append(try description.tensor(dataStart: dataStart, alignment: alignment, in: cursor))
        }
        self.tensors = tensors
    }

    private static func checkBeginning(_ cursor: inout GGUFCursor) throws(InputError) {
        guard cursor.bytes.starts(with: magic) else { throw cursor.error("header", nil, "a GGUF file must begin with GGUF") }
        _ = try cursor.integer(UInt32.self, of: "header")
        let version = try cursor.integer(UInt32.self, of: "header")
        guard !versions.contains(version) else { return }
        let isReversed = versions.contains(version.byteSwapped)
        throw cursor.error(
            "header", isReversed ? "version \(version.byteSwapped), big-endian" : "version \(version)",
            "must be version 2 or 3, little-endian", code: .unsupported)
    }

    private static func metadata(_ cursor: inout GGUFCursor, count: Int) throws(InputError) -> GGUFMetadata {
        var metadata = GGUFMetadata(file: cursor.file)
        for _ in 0..<count {
            let start = cursor.offset
            let key = try cursor.string(of: "header")
            let value = try cursor.value(of: key)
            guard metadata.insert(key, value, bytes: start..<cursor.offset) else { throw cursor.error(key, nil, "a key must occur once") }
        }
        return metadata
    }

    private static func alignment(_ metadata: GGUFMetadata) throws(InputError) -> Int {
        let alignment = try metadata.integer(alignmentKey, in: 1...1 << 30, default: 32)
        guard alignment.nonzeroBitCount == 1 else { throw metadata.error(alignmentKey, "must be a power of two") }
        return alignment
    }
}

/// A tensor's entry as it stands in the header, before it is held against the data.
private struct TensorDescription {
    let name: String
    private let shape: [UInt64]
    private let type: GGMLType
    private let offset: UInt64

    init(_ cursor: inout GGUFCursor, index: Int) throws(InputError) {
        name = try cursor.string(of: "tensor \(index)")
        let count = try cursor.integer(UInt32.self, of: name)
        guard count <= GGUFHeader.maximumExtents else {
            throw cursor.error(name, "\(count) extents", "must have at most \(GGUFHeader.maximumExtents)")
        }
        var extents: [UInt64] = []
        for _ in 0..<count { extents.append(try cursor.integer(UInt64.self, of: name)) }
        shape = extents.reversed()
        type = GGMLType(id: try cursor.integer(UInt32.self, of: name))
        offset = try cursor.integer(UInt64.self, of: name)
    }

    func tensor(dataStart: Int, alignment: Int, in cursor: GGUFCursor) throws(InputError) -> GGUFTensor {
        let size = try size(cursor)
        guard offset % UInt64(alignment) == 0 else {
            throw cursor.error(name, "offset \(offset)", "must be a multiple of the alignment, \(alignment)")
        }
        let available = max(0, cursor.bytes.count - dataStart)
        guard offset <= UInt64(available), size <= available - Int(offset) else {
            throw cursor.error(
                name, "offset \(offset) and \(size) bytes",
                "must lie in the file, which has \(available) bytes of data (was it cut off while it was copied?)")
        }
        let start = dataStart + Int(offset)
        return GGUFTensor(name: name, type: type, shape: shape.map { Int($0) }, bytes: type.format == nil ? nil : start..<start + size)
    }

    /// The bytes that the numbers take; 0 when the type is one that cannot be read. Checks that all products of extents fit in 63 bits.
    private func size(_ cursor: GGUFCursor) throws(InputError) -> Int {
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(clamping: extent))
            guard !overflow, extent <= UInt64(Int.max) else { throw cursor.error(name, "extents \(shape)", "must not overflow 64 bits") }
            count = product
        }
        guard let format = type.format else { return 0 }
        let rowLength = shape.last.map { Int($0) } ?? 1
        guard rowLength % format.blockLength == 0 else {
            throw cursor.error(
                name, "rows of \(rowLength)", "must be whole blocks of \(format.blockLength), which \(format.name) consists of")
        }
        let (size, overflow) = (count / format.blockLength).multipliedReportingOverflow(by: format.blockSize)
        // Of a tensor without rows, a row may be longer than all of it.
        let row = (rowLength / format.blockLength).multipliedReportingOverflow(by: format.blockSize)
        guard !overflow, !row.overflow else { throw cursor.error(name, "extents \(shape)", "must not overflow 64 bits") }
        return size
    }
}
