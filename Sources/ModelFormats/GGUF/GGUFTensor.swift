/// What a GGUF file's header says about one tensor.
public struct GGUFTensor: Hashable, Sendable {
    public let name: String
    public let type: GGMLType
    /// Extents, outermost first, so that a matrix is [outputs, inputs]; the file has them the other way round. Empty for a scalar.
    public let shape: [Int]
    /// Where the numbers stand in the file; nil when the type is one that cannot be read, whose size is not known.
    public let bytes: Range<Int>?

    /// Rows of the last extent; a vector is one row.
    public var rowCount: Int { shape.dropLast().reduce(1, *) }
    /// Numbers in a row.
    public var rowLength: Int { shape.last ?? 1 }
}
