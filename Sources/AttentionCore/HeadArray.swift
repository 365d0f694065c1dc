/// Per-head rows in memory of their own: what attention reads and gives where no pointer is handed around.
///
/// ```swift
/// let query = try HeadArray(floats, heads: 8, tokens: 4096, dimension: 64, field: "query")
/// let row = query[head: 3, token: 4095]
/// ```
///
/// A value like any array: copies share memory until one of them is written. `HeadTensor` is the view that kernels read; it needs memory
/// that outlives it, which these values see to themselves.
public struct HeadArray: Hashable, Sendable {
    /// Which axis is the outer one.
    public enum Layout: String, Hashable, Sendable, CaseIterable {
        /// [head][token][dimension], as attention is mostly written.
        case headMajor
        /// [token][head][dimension], as a projection gives it.
        case tokenMajor
    }

    public let heads: Int
    public let tokens: Int
    public let dimension: Int
    public let layout: Layout
    /// All numbers in the order of `layout`: heads · tokens · dimension.
    public private(set) var elements: [Float]

    /// Takes numbers as they lie; nothing is copied.
    ///
    /// - Parameters:
    ///   - elements: heads · tokens · dimension numbers in the order of `layout`.
    ///   - field: what the errors call it, such as `query`.
    /// - Throws: `InputError` (`usage`) when an extent is not in 1 … 2³¹ − 1, or `elements` has another count than their product.
    public init(
        _ elements: [Float], heads: Int, tokens: Int, dimension: Int, layout: Layout = .headMajor, field: String = "tensor"
    ) throws(InputError) {
        let extents = Self.extents(heads: heads, tokens: tokens, dimension: dimension, layout: layout)
        try extents.check(count: elements.count, field: field)
        // The product is the end of the last row, which is within the count.
        guard elements.count == heads * tokens * dimension else {
            throw InputError(
                .usage, field: "\(field).count", value: "\(elements.count)",
                rule: "must be heads · tokens · dimension = \(heads * tokens * dimension)")
        }
        (self.heads, self.tokens, self.dimension) = (heads, tokens, dimension)
        self.layout = layout
        self.elements = elements
    }

    /// The row of a head and token: `dimension` numbers.
    public subscript(head head: Int, token token: Int) -> ArraySlice<Float> {
        precondition((0..<heads).contains(head) && (0..<tokens).contains(token), "a row is one of the array's heads and tokens")
        let row = layout == .headMajor ? head * tokens + token : token * heads + head
        return elements[row * dimension..<(row + 1) * dimension]
    }

    /// Shows a view of the numbers to `body`. The view is valid until `body` returns.
    package func withTensor<Result, Failure: Error>(_ body: (HeadTensor) throws(Failure) -> Result) throws(Failure) -> Result {
        let extents = Self.extents(heads: heads, tokens: tokens, dimension: dimension, layout: layout)
        return try elements.withUnsafeBufferPointer { floats throws(Failure) in
            try body(HeadTensor(base: floats.baseAddress!, extents: extents))
        }
    }

    /// An array whose numbers `body` writes; those that it does not write are 0. The view is valid until `body` returns.
    ///
    /// - Precondition: the extents are those of an array that exists, or of a shape made of such.
    package init<Failure: Error>(
        heads: Int, tokens: Int, dimension: Int, layout: Layout, writing body: (MutableHeadTensor) throws(Failure) -> Void
    ) throws(Failure) {
        (self.heads, self.tokens, self.dimension) = (heads, tokens, dimension)
        self.layout = layout
        elements = Array(repeating: 0, count: heads * tokens * dimension)
        let extents = Self.extents(heads: heads, tokens: tokens, dimension: dimension, layout: layout)
        try elements.withUnsafeMutableBufferPointer { floats throws(Failure) in
            try body(MutableHeadTensor(base: floats.baseAddress!, extents: extents))
        }
    }

    /// Strides that would leave `Int` saturate: no memory holds them, so that the check refuses them.
    private static func extents(heads: Int, tokens: Int, dimension: Int, layout: Layout) -> HeadExtents {
        let (product, overflows) = (layout == .headMajor ? tokens : heads).multipliedReportingOverflow(by: dimension)
        let outer = overflows ? Int.max : product
        return HeadExtents(
            heads: heads, tokens: tokens, dimension: dimension, headStride: layout == .headMajor ? outer : dimension,
            tokenStride: layout == .headMajor ? dimension : outer)
    }
}

extension AttentionShape {
    /// The shape of three arrays that attend together.
    ///
    /// - Throws: `InputError` (`usage`) when they do not fit: key-value heads that do not divide the query heads, more queries than keys,
    ///   keys and values of different extents, or different dimensions.
    public init(query: HeadArray, key: HeadArray, value: HeadArray) throws(InputError) {
        func require(_ holds: Bool, _ field: String, _ value: Int, _ rule: String) throws(InputError) {
            guard holds else { throw InputError(.usage, field: field, value: "\(value)", rule: rule) }
        }
        try require(
            query.heads % key.heads == 0, "key.heads", key.heads,
            "must divide the \(query.heads) query heads, of which each group shares one")
        try require(
            query.tokens <= key.tokens, "query.tokens", query.tokens, "must not be more than the \(key.tokens) keys, whose last they are")
        try require(key.dimension == query.dimension, "key.dimension", key.dimension, "must be that of the queries, \(query.dimension)")
        try require(value.heads == key.heads, "value.heads", value.heads, "must be those of the keys, \(key.heads)")
        try require(value.tokens == key.tokens, "value.tokens", value.tokens, "must be those of the keys, \(key.tokens)")
        try require(
            value.dimension == query.dimension, "value.dimension", value.dimension, "must be that of the queries, \(query.dimension)")
        self.init(
            queryHeads: query.heads, keyValueHeads: key.heads, queryCount: query.tokens, keyCount: key.tokens,
            headDimension: query.dimension)
    }
}
