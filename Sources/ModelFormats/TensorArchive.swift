import AttentionCore

/// A model's tensors by name, whatever files they stand in and however their numbers are stored.
///
/// A tensor of extents [a, b, …, n] is read as a·b·… rows of n numbers; a vector is one row.
public protocol TensorArchive: Sendable {
    /// The file that errors about missing tensors name.
    var listing: String { get }
    /// Every tensor's name, in no order.
    var names: [String] { get }

    /// True when the archive holds `name`.
    func contains(_ name: String) -> Bool

    /// The extents of a tensor, outermost first; empty for a scalar.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing.
    func shape(of name: String) throws(InputError) -> [Int]

    /// Converts some rows of a tensor to Float into `destination`, which has room for them. May be called by several threads at once.
    ///
    /// - Throws: `InputError`: `invalidData` when the tensor is missing, has fewer rows or holds NaN or infinity; `unsupported` when its
    ///   numbers are of a type that cannot be read.
    func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError)

    /// True when both tensors are there, of one type and shape, and equal byte for byte.
    func haveEqualContents(_ first: String, _ second: String) -> Bool

    /// Tells the system that a tensor's bytes will not be read again soon, so that they need not stay in memory.
    func release(_ name: String)

    /// The SHA-256 of some tensors, in hexadecimal: the same whichever files they stand in.
    ///
    /// The digest is that of one piece a tensor after the other, in the order of the bytes of the names they are given. A piece is the
    /// line "NAME DTYPE E1xE2x…" (the extents, outermost first), a line feed, and the tensor's bytes as the file holds them.
    ///
    /// - Parameter names: of each tensor the name it is digested by, and its name in the archive.
    /// - Throws: `InputError` (`invalidData`) when one is missing.
    /// - Complexity: reads every byte of the tensors (about a second for a gigabyte) at each call: keep the answer.
    func sha256(of names: [(canonical: String, own: String)]) throws(InputError) -> String
}

extension TensorArchive {
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing or has another shape.
    public func check(_ name: String, shape expected: [Int]) throws(InputError) {
        let found = try shape(of: name)
        guard found == expected else {
            throw InputError(.invalidData, file: listing, field: name, value: "\(found)", rule: "must be \(expected)")
        }
    }

    /// Converts a whole tensor to Float, row-major, into `destination`, which has room for the product of `shape`.
    ///
    /// - Throws: as `check(_:shape:)` and `read(_:rows:into:)`.
    public func read(_ name: String, shape: [Int], into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        try check(name, shape: shape)
        try read(name, rows: 0..<shape.dropLast().reduce(1, *), into: destination)
    }
}
