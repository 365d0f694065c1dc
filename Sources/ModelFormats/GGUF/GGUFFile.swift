import AttentionCore

/// One GGUF file of version 2 or 3, mapped into memory, its header checked in full before anything is read.
///
/// Tensors have the names, the extents and the order of rows that the file gives them; `GGUFArchive` has those of Hugging Face.
public struct GGUFFile: Sendable {
    /// All tensors in the order of the file.
    public let tensors: [GGUFTensor]
    /// The path as it was given.
    public var path: String { file.path }
    package let metadata: GGUFMetadata

    let file: MappedFile
    private let indices: [ExactText: Int]

    /// Opens and checks the file at `path`.
    ///
    /// - Throws: `InputError`: `missingInput` or `inputOutput` when it cannot be opened; `unsupported` for another version or byte order;
    ///   `invalidData`, naming the tensor, the metadata or "header", when it breaks the format.
    /// - Complexity: O(header); the data are not touched.
    public init(_ path: String) throws(InputError) {
        file = try MappedFile(path)
        let header = try GGUFHeader(file)
        metadata = header.metadata
        tensors = header.tensors
        indices = Dictionary(uniqueKeysWithValues: header.tensors.enumerated().map { (ExactText($1.name), $0) })
    }

    /// The SHA-256 of the whole file, in hexadecimal. O(file).
    public func sha256() -> String { ModelFormats.sha256(of: file) }

    /// True when the file holds `name`.
    public func contains(_ name: String) -> Bool { indices[ExactText(name)] != nil }

    /// What the header says about `name`.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing.
    public func tensor(_ name: String) throws(InputError) -> GGUFTensor {
        guard let index = indices[ExactText(name)] else {
            throw InputError(.invalidData, file: path, field: name, rule: "tensor is missing")
        }
        return tensors[index]
    }

    /// Converts some rows of `name`, each as long as its last extent, to Float into `destination`, which has room for them.
    ///
    /// - Throws: `InputError`: `invalidData` when the tensor is missing, has fewer rows or holds NaN or infinity; `unsupported` when its
    ///   numbers are of a type that cannot be read.
    public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        try read(tensor(name), rows: rows, into: destination)
    }

    func read(_ tensor: GGUFTensor, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        let (format, data) = try content(of: tensor)
        guard rows.lowerBound >= 0, rows.upperBound <= tensor.rowCount else {
            throw InputError(
                .invalidData, file: path, field: tensor.name, value: "\(tensor.shape)", rule: "must have \(rows.upperBound) rows")
        }
        let rowBytes = tensor.rowLength / format.blockLength * format.blockSize
        let source = UnsafeRawBufferPointer(rebasing: data[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
        guard let fault = format.convert(source, into: destination) else { return }
        throw InputError(
            .invalidData, file: path, field: tensor.name,
            value: "\(fault.name) at element \(rows.lowerBound * tensor.rowLength + fault.index)", rule: "must be finite")
    }

    /// How a tensor's numbers are stored, and their bytes.
    ///
    /// - Throws: `InputError` (`unsupported`) when they are of a type that cannot be read.
    func content(of tensor: GGUFTensor) throws(InputError) -> (GGMLFormat, UnsafeRawBufferPointer) {
        guard let format = tensor.type.format, let bytes = tensor.bytes else {
            throw InputError(
                .unsupported, file: path, field: tensor.name, value: tensor.type.name, rule: "must be one of \(GGMLFormat.names)")
        }
        return (format, UnsafeRawBufferPointer(rebasing: file.bytes[bytes]))
    }
}
