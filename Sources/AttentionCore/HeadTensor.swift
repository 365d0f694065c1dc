/// A read-only view of per-head rows in memory somebody else owns.
///
/// Shapes: [head][token][dimension]; the last axis is contiguous, the other two have strides, so the output of a
/// projection ([token][head · dimension]) is read in place.
/// Units: strides count floats. The memory must outlive the view: `HeadArray` is the form that sees to that itself.
public struct HeadTensor: @unchecked Sendable {
    public let base: UnsafePointer<Float>
    public let heads: Int
    public let tokens: Int
    public let dimension: Int
    public let headStride: Int
    public let tokenStride: Int

    /// Extents and strides are not checked; `init(_:heads:tokens:dimension:headStride:tokenStride:field:)` holds it against the memory.
    public init(base: UnsafePointer<Float>, heads: Int, tokens: Int, dimension: Int, headStride: Int, tokenStride: Int) {
        self.base = base
        self.heads = heads
        self.tokens = tokens
        self.dimension = dimension
        self.headStride = headStride
        self.tokenStride = tokenStride
    }

    /// A view of memory whose extents are checked; that the memory outlives the view is left to the caller.
    ///
    /// - Parameter field: what the errors call it, such as `query`.
    /// - Throws: `InputError` (`usage`) when an extent is not in 1 … 2³¹ − 1, a stride is negative, or the last row does not end in `floats`.
    public init(
        _ floats: UnsafeBufferPointer<Float>, heads: Int, tokens: Int, dimension: Int, headStride: Int, tokenStride: Int,
        field: String = "tensor"
    ) throws(InputError) {
        let extents = HeadExtents(heads: heads, tokens: tokens, dimension: dimension, headStride: headStride, tokenStride: tokenStride)
        try extents.check(count: floats.count, field: field)
        self.init(base: floats.baseAddress!, extents: extents)
    }

    init(base: UnsafePointer<Float>, extents: HeadExtents) {
        self.init(
            base: base, heads: extents.heads, tokens: extents.tokens, dimension: extents.dimension, headStride: extents.headStride,
            tokenStride: extents.tokenStride)
    }

    var extents: HeadExtents {
        HeadExtents(heads: heads, tokens: tokens, dimension: dimension, headStride: headStride, tokenStride: tokenStride)
    }

    /// A projection's output: [token][head · dimension].
    public init(projection base: UnsafePointer<Float>, heads: Int, tokens: Int, dimension: Int) {
        self.init(
            base: base, heads: heads, tokens: tokens, dimension: dimension, headStride: dimension,
            tokenStride: heads * dimension)
    }

    @inlinable public func row(head: Int, token: Int) -> UnsafePointer<Float> {
        base + (head * headStride + token * tokenStride)
    }

    /// The same memory with only the given head.
    public func head(_ head: Int) -> HeadTensor {
        HeadTensor(
            base: row(head: head, token: 0), heads: 1, tokens: tokens, dimension: dimension, headStride: headStride,
            tokenStride: tokenStride)
    }

    /// The same memory with only the first `count` tokens.
    public func prefix(tokens count: Int) -> HeadTensor { slice(tokens: 0..<count) }

    /// The same memory with only some tokens.
    public func slice(tokens range: Range<Int>) -> HeadTensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= tokens, "a slice cannot be longer than the tensor")
        return HeadTensor(
            base: base + range.lowerBound * tokenStride, heads: heads, tokens: range.count, dimension: dimension, headStride: headStride,
            tokenStride: tokenStride)
    }
}

/// A writable `HeadTensor`. Concurrent writers must write disjoint rows.
public struct MutableHeadTensor: @unchecked Sendable {
    public let base: UnsafeMutablePointer<Float>
    /// The same memory, read-only.
    public let readOnly: HeadTensor

    public init(projection base: UnsafeMutablePointer<Float>, heads: Int, tokens: Int, dimension: Int) {
        self.base = base
        readOnly = HeadTensor(projection: base, heads: heads, tokens: tokens, dimension: dimension)
    }

    /// A view of memory whose extents are checked; that the memory outlives the view is left to the caller.
    ///
    /// - Parameter field: what the errors call it, such as `output`.
    /// - Throws: `InputError` (`usage`) as `HeadTensor`, and when two rows share memory.
    public init(
        _ floats: UnsafeMutableBufferPointer<Float>, heads: Int, tokens: Int, dimension: Int, headStride: Int, tokenStride: Int,
        field: String = "tensor"
    ) throws(InputError) {
        let readOnly = try HeadTensor(
            UnsafeBufferPointer(floats), heads: heads, tokens: tokens, dimension: dimension, headStride: headStride,
            tokenStride: tokenStride, field: field)
        try readOnly.extents.checkAreApart(field: field)
        self.init(base: floats.baseAddress!, readOnly: readOnly)
    }

    init(base: UnsafeMutablePointer<Float>, extents: HeadExtents) {
        self.init(base: base, readOnly: HeadTensor(base: base, extents: extents))
    }

    private init(base: UnsafeMutablePointer<Float>, readOnly: HeadTensor) {
        self.base = base
        self.readOnly = readOnly
    }

    /// The same memory with only some tokens.
    public func slice(tokens range: Range<Int>) -> MutableHeadTensor {
        MutableHeadTensor(base: base + range.lowerBound * readOnly.tokenStride, readOnly: readOnly.slice(tokens: range))
    }

    public func row(head: Int, token: Int) -> UnsafeMutablePointer<Float> {
        base + (head * readOnly.headStride + token * readOnly.tokenStride)
    }
}
