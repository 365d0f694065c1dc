import AttentionCore

/// One attention head in double precision: what the exact computation and the bounds work on.
///
/// Shapes: queries [queryCount][dimension], keys [keyCount][dimension], values [keyCount][valueDimension], all row-major.
/// Queries are the *last* `queryCount` of `keyCount` positions: query i stands at `firstPosition + i` and sees keys
/// `0 ... firstPosition + i`.
public struct AttentionHead: Sendable {
    public let queryCount: Int
    public let keyCount: Int
    public let dimension: Int
    public let valueDimension: Int
    public let queries: [Double]
    public let keys: [Double]
    public let values: [Double]
    /// The factor on the scores, P = softmax(scale · Q Kᵀ); 1/√dimension unless the model says otherwise.
    public let scale: Double
    /// How scores become attention, of this one head.
    public let rule: ScoreRule

    /// The extents as one query head reading one key-value head.
    public var shape: AttentionShape {
        AttentionShape(
            queryHeads: 1, keyValueHeads: 1, queryCount: queryCount, keyCount: keyCount, headDimension: dimension, scores: rule)
    }

    /// The natural logarithm of what a sink adds to every row's softmax, as a key whose value is zero; nil where there is none.
    var sink: Double? { rule.sinks.map { Double($0[0]) } }

    /// The position of query 0.
    public var firstPosition: Int { keyCount - queryCount }

    /// A head from its rows.
    ///
    /// Shapes: queries [queryCount][d], keys [keyCount][d], values [keyCount][dv]; `scale` is 1/√d when nil.
    /// - Throws: `InputError` (`invalidData`) when rows are missing or ragged, there are more queries than keys or not as
    ///   many values as keys, or a number is not finite or exceeds the range of Float.
    public init(
        queries: [[Double]], keys: [[Double]], values: [[Double]], scale: Double? = nil
    ) throws(InputError) {
        try self.init(
            queries: try Self.flatten(queries, "queries"), keys: try Self.flatten(keys, "keys"),
            values: try Self.flatten(values, "values"), scale: scale, rule: .standard)
    }

    /// Query head `queryHead` of one attention call, with the key-value head its group shares.
    ///
    /// Shapes: queries [shape.queryHeads][shape.queryCount][d], keys [shape.keyValueHeads][shape.keyCount][d], values the
    /// same with their own last axis; `scale` is 1/√d when nil. Caps and sinks are the shape's.
    /// - Throws: `InputError` (`invalidData`) when a number is not finite.
    public init(
        queryHead: Int, shape: AttentionShape, queries: HeadTensor, keys: HeadTensor, values: HeadTensor,
        scale: Double? = nil
    ) throws(InputError) {
        precondition((0..<shape.queryHeads).contains(queryHead), "the head must be one of the shape's query heads")
        precondition(
            queries.heads == shape.queryHeads && keys.heads == shape.keyValueHeads && values.heads == shape.keyValueHeads,
            "tensors must have the shape's heads")
        precondition(
            queries.tokens == shape.queryCount && keys.tokens == shape.keyCount && values.tokens == shape.keyCount,
            "tensors must have the shape's tokens")
        precondition(
            queries.dimension == shape.headDimension && keys.dimension == shape.headDimension,
            "queries and keys must have the shape's head dimension")
        let shared = shape.keyValueHead(of: queryHead)
        try self.init(
            queries: Rows(queries, head: queryHead), keys: Rows(keys, head: shared), values: Rows(values, head: shared),
            scale: scale, rule: shape.scores.ofHead(queryHead))
    }

    private init(queries: Rows, keys: Rows, values: Rows, scale: Double?, rule: ScoreRule) throws(InputError) {
        try Self.require(queries.count <= keys.count, "queries", "\(queries.count) rows", "at most as many rows as keys")
        try Self.require(values.count == keys.count, "values", "\(values.count) rows", "as many rows as keys")
        try Self.require(
            queries.width == keys.width, "queries", "dimension \(queries.width)", "the dimension of the keys")
        try queries.requireUsable("queries")
        try keys.requireUsable("keys")
        try values.requireUsable("values")
        let factor = scale ?? 1 / Double(queries.width).squareRoot()
        try Self.require(Rows.usable.contains(factor), "scale", "\(factor)", "must be finite and in the range of Float")
        self.scale = factor
        self.rule = rule
        self.queries = queries.elements
        self.keys = keys.elements
        self.values = values.elements
        queryCount = queries.count
        keyCount = keys.count
        dimension = queries.width
        valueDimension = values.width
    }

    private static func flatten(_ rows: [[Double]], _ field: String) throws(InputError) -> Rows {
        let width = rows.first?.count ?? 0
        try require(width > 0, field, "\(rows.count) rows of \(width)", "must have at least one row and one column")
        for row in rows { try require(row.count == width, field, "a row of \(row.count)", "all rows must have \(width)") }
        return Rows(elements: rows.flatMap(\.self), count: rows.count, width: width)
    }

    private static func require(_ holds: Bool, _ field: String, _ value: String, _ rule: String) throws(InputError) {
        if !holds { throw InputError(.invalidData, field: field, value: value, rule: rule) }
    }
}

/// Row-major numbers of one head.
private struct Rows {
    let elements: [Double]
    let count: Int
    let width: Int

    /// Products of two such numbers cannot overflow a Double, so every score is finite.
    static let usable = -Double(Float.greatestFiniteMagnitude)...Double(Float.greatestFiniteMagnitude)

    init(elements: [Double], count: Int, width: Int) {
        self.elements = elements
        self.count = count
        self.width = width
    }

    init(_ tensor: HeadTensor, head: Int) {
        var elements: [Double] = []
        elements.reserveCapacity(tensor.tokens * tensor.dimension)
        for token in 0..<tensor.tokens {
            let row = UnsafeBufferPointer(start: tensor.row(head: head, token: token), count: tensor.dimension)
            for element in row { elements.append(Double(element)) }
        }
        self.init(elements: elements, count: tensor.tokens, width: tensor.dimension)
    }

    func requireUsable(_ field: String) throws(InputError) {
        guard let bad = elements.firstIndex(where: { !Self.usable.contains($0) }) else { return }
        throw InputError(
            .invalidData, field: "\(field)[\(bad / width)][\(bad % width)]", value: "\(elements[bad])",
            rule: "must be finite and in the range of Float")
    }
}
