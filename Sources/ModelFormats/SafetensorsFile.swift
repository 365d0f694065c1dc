import AttentionCore

/// One safetensors file, mapped into memory, its header checked in full before anything is read.
public struct SafetensorsFile: Sendable {
    /// All tensors in the order of their bytes.
    public let tensors: [SafetensorsTensor]
    /// The texts of `__metadata__`; none where there is no such member.
    public let metadata: [String: String]
    /// The path as it was given.
    public var path: String { file.path }

    let file: MappedFile
    private let dataStart: Int
    private let indices: [ExactText: Int]

    /// Opens and checks the file at `path`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when it cannot be opened; `invalidData`, naming the
    ///   tensor or "header", when it breaks the format.
    /// - Complexity: O(header); the data are not touched.
    public init(_ path: String) throws(InputError) {
        file = try MappedFile(path)
        let header = try SafetensorsHeader(file)
        dataStart = header.dataStart
        tensors = header.tensors
        metadata = header.metadata
        indices = Dictionary(uniqueKeysWithValues: header.tensors.enumerated().map { (ExactText($1.name), $0) })
    }

    /// The SHA-256 of the whole file, in hexadecimal. O(file).
    public func sha256() -> String { ModelFormats.sha256(of: file) }

    /// True when the file holds `name`.
    public func contains(_ name: String) -> Bool { indices[ExactText(name)] != nil }

    /// What the header says about `name`.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing.
    public func tensor(_ name: String) throws(InputError) -> SafetensorsTensor {
        guard let index = indices[ExactText(name)] else {
            throw InputError(.invalidData, file: path, field: name, rule: "tensor is missing")
        }
        return tensors[index]
    }

    /// Converts `name` to Float, row-major, into `destination`.
    ///
    /// Shapes: `shape` is what the caller expects; `destination` has room for its product.
    /// - Throws: `InputError`: `invalidData` when the tensor is missing, has another shape or holds NaN or infinity;
    ///   `unsupported` when it is not F32, F16 or BF16.
    public func read(
        _ name: String, shape: [Int], into destination: UnsafeMutablePointer<Float>
    ) throws(InputError) {
        _ = try checked(name, shape: shape)
        try read(name, rows: 0..<shape.dropLast().reduce(1, *), into: destination)
    }

    /// Converts some rows of `name`, each as long as its last extent, to Float into `destination`, which has room for them.
    ///
    /// - Throws: as `read(_:shape:into:)`; `invalidData` when there are fewer rows.
    public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        let tensor = try tensor(name)
        guard let format = tensor.dataType.flatMap(FloatFormat.init) else {
            throw InputError(
                .unsupported, file: path, field: name, value: tensor.typeName, rule: "must be F32, F16 or BF16")
        }
        let (count, width) = (tensor.shape.dropLast().reduce(1, *), tensor.shape.last ?? 1)
        guard rows.lowerBound >= 0, rows.upperBound <= count else {
            throw InputError(.invalidData, file: path, field: name, value: "\(tensor.shape)", rule: "must have \(rows.upperBound) rows")
        }
        let rowBytes = width * format.size
        let source = UnsafeRawBufferPointer(rebasing: data(of: tensor)[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
        guard let fault = format.convert(source, into: destination) else { return }
        throw InputError(
            .invalidData, file: path, field: name, value: "\(fault.name) at element \(rows.lowerBound * width + fault.index)",
            rule: "must be finite")
    }

    /// The elements of the I32 tensor `name`, row-major.
    ///
    /// - Throws: `InputError`: `invalidData` when the tensor is missing or has another shape; `unsupported` when it is
    ///   not I32.
    public func integers(_ name: String, shape: [Int]) throws(InputError) -> [Int32] {
        let tensor = try checked(name, shape: shape)
        guard tensor.dataType == .int32 else {
            throw InputError(
                .unsupported, file: path, field: name, value: tensor.typeName, rule: "must be I32")
        }
        let source = data(of: tensor)
        return (0..<tensor.elementCount).map {
            Int32(littleEndian: source.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self))
        }
    }

    /// - Throws: `InputError` (`invalidData`) when the tensor is missing or has another shape.
    func checked(_ name: String, shape: [Int]) throws(InputError) -> SafetensorsTensor {
        let tensor = try tensor(name)
        guard tensor.shape == shape else {
            throw InputError(.invalidData, file: path, field: name, value: "\(tensor.shape)", rule: "must be \(shape)")
        }
        return tensor
    }

    func data(of tensor: SafetensorsTensor) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: file.bytes[dataStart + tensor.bytes.lowerBound..<dataStart + tensor.bytes.upperBound])
    }
}
