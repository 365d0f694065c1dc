import AttentionCore

/// What one attention call will do: a pattern for each query head, cut into row blocks that balance over threads.
///
/// Depends on patterns and shape only, never on data, so it can be made once and run many times.
public struct AttentionPlan: Sendable {
    public let shape: AttentionShape
    /// One pattern a query head.
    public let patterns: [SparsePattern]
    /// Kept (query, key) pairs of each query head; density is this over `shape.causalPairs`.
    public let keptPairs: [Int]

    /// Lane blocks, at most, that share each tile of keys and values while it is in the cache.
    package static let mostLaneBlocks = 4

    /// Consecutive query rows of one head that share their pattern's kind; at most `mostLaneBlocks` lane blocks.
    struct RowBlock: Sendable {
        let head: Int
        let firstRow: Int
        let rows: Int
        /// Positions each row sees back from itself; `keyCount` for dense rows.
        let window: Int
        /// Columns of the head's gathered list that any row of the block may see.
        let columns: Int
        /// Keys touched, the unit of the balance.
        let cost: Int
    }

    /// Longest first.
    let blocks: [RowBlock]
    /// Where each head's gathered columns begin in the workspace, counted in columns; the last entry is the total.
    let columnOffsets: [Int]

    /// - Throws: `InputError` (`usage`) when the number of patterns is not `shape.queryHeads` or a pattern does not fit the
    ///   keys.
    public init(shape: AttentionShape, patterns: [SparsePattern]) throws(InputError) {
        // Few rows are cut finely, so that every thread gets some.
        try self.init(shape: shape, patterns: patterns, laneBlocks: shape.queryCount >= 2048 ? Self.mostLaneBlocks : 1)
    }

    /// The same with the number of lane blocks that are done together.
    package init(shape: AttentionShape, patterns: [SparsePattern], laneBlocks: Int) throws(InputError) {
        precondition((1...Self.mostLaneBlocks).contains(laneBlocks), "the workspace has room for mostLaneBlocks")
        guard patterns.count == shape.queryHeads else {
            throw InputError(
                .usage, field: "patterns", value: "\(patterns.count)", rule: "there must be one for each of \(shape.queryHeads) query heads"
            )
        }
        var offsets = [0]
        for (head, pattern) in patterns.enumerated() {
            try pattern.validate(shape, head: head)
            var columns = 0
            if case .windowColumns(let stripes) = pattern { columns = stripes.columns.count }
            offsets.append(offsets.last! + columns)
        }
        self.shape = shape
        self.patterns = patterns
        columnOffsets = offsets
        keptPairs = patterns.map { $0.keptPairs(shape) }
        blocks = patterns.indices
            .flatMap { Self.rowBlocks(head: $0, pattern: patterns[$0], shape: shape, size: laneBlocks * KernelTable.lanes) }
            .sorted { ($1.cost, $0.head, $0.firstRow) < ($0.cost, $1.head, $1.firstRow) }
    }

    /// Kept pairs of all heads over their causal pairs.
    public var density: Double {
        Double(keptPairs.reduce(0, +)) / (Double(shape.causalPairs) * Double(shape.queryHeads))
    }

    /// Blocks never mix sparse and dense rows.
    private static func rowBlocks(head: Int, pattern: SparsePattern, shape: AttentionShape, size: Int) -> [RowBlock] {
        switch pattern {
        case .dense:
            return split(0..<shape.queryCount, size).map { rows in
                denseBlock(head: head, rows: rows, shape: shape)
            }
        case .windowColumns(let stripes):
            let firstDense = max(0, min(shape.queryCount, shape.queryCount - stripes.denseLastRows))
            let sparse = split(0..<firstDense, size).map { rows in
                let first = shape.firstPosition + rows.lowerBound
                let last = shape.firstPosition + rows.upperBound - 1
                let columns = stripes.columnCount(below: last - stripes.window + 1)
                let keys = last + 1 - max(0, first - stripes.window + 1) + columns
                return RowBlock(
                    head: head, firstRow: rows.lowerBound, rows: rows.count, window: stripes.window, columns: columns, cost: keys)
            }
            return sparse + split(firstDense..<shape.queryCount, size).map { denseBlock(head: head, rows: $0, shape: shape) }
        case .columnsSlashes, .blocks, .union: preconditionFailure("the kernel runs dense and window-columns patterns only")
        }
    }

    private static func denseBlock(head: Int, rows: Range<Int>, shape: AttentionShape) -> RowBlock {
        RowBlock(
            head: head, firstRow: rows.lowerBound, rows: rows.count, window: shape.keyCount, columns: 0,
            cost: shape.firstPosition + rows.upperBound)
    }

    private static func split(_ rows: Range<Int>, _ size: Int) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: size).map { $0..<min($0 + size, rows.upperBound) }
    }
}
