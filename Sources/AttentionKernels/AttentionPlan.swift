import AttentionCore
import CAttentionKernels

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
    package static let mostLaneBlocks = Int(SA_MOST_LANE_BLOCKS)

    /// Below this many rows a block wastes more lanes than it fills, and rows are done one by one.
    static let fewestLanes = 5

    /// Consecutive query rows of one head that see keys by the same rule; at most `mostLaneBlocks` lane blocks.
    package struct RowBlock: Sendable {
        let head: Int
        package let firstRow: Int
        package let rows: Int
        package let isDense: Bool
        /// Keys touched, the unit of the balance.
        let cost: Int

        var isDoneByRows: Bool { rows < AttentionPlan.fewestLanes }
    }

    /// A piece of one list of columns, to be copied together.
    struct Gather: Sendable {
        let head: Int
        let columns: Range<Int>
    }

    /// Each head's pattern as the parts a kernel runs.
    let parts: [PatternParts]
    /// Longest first.
    let blocks: [RowBlock]
    let gathers: [Gather]
    /// Where each head's gathered columns begin in the workspace, counted in columns: where a group of values begins in every precision.
    let columnOffsets: [Int]
    /// Columns the workspace has to hold.
    let gatheredColumns: Int

    /// - Throws: `InputError` (`usage`) when the number of patterns is not `shape.queryHeads` or a pattern does not fit the keys.
    public init(shape: AttentionShape, patterns: [SparsePattern]) throws(InputError) {
        try self.init(shape: shape, patterns: patterns, laneBlocks: Self.laneBlocks(queryCount: shape.queryCount))
    }

    /// Lane blocks that are done together: few rows are cut finely, so that every thread gets some.
    package static func laneBlocks(queryCount: Int) -> Int { queryCount >= 2048 ? mostLaneBlocks : 1 }

    /// The same with the number of lane blocks that are done together.
    package init(shape: AttentionShape, patterns: [SparsePattern], laneBlocks: Int) throws(InputError) {
        precondition((1...Self.mostLaneBlocks).contains(laneBlocks), "the workspace has room for mostLaneBlocks")
        guard patterns.count == shape.queryHeads else {
            throw InputError(
                .usage, field: "patterns", value: "\(patterns.count)", rule: "there must be one for each of \(shape.queryHeads) query heads"
            )
        }
        for (head, pattern) in patterns.enumerated() { try pattern.validate(shape, head: head) }
        let parts = patterns.map(\.parts)
        self.shape = shape
        self.patterns = patterns
        self.parts = parts
        keptPairs = parts.map { $0.keptPairs(shape) }
        blocks = parts.indices
            .flatMap { Self.rowBlocks(head: $0, parts: parts[$0], shape: shape, laneBlocks: laneBlocks) }
            .sorted { ($1.cost, $0.head, $0.firstRow) < ($0.cost, $1.head, $1.firstRow) }
        let tiled = Set(blocks.filter { !$0.isDoneByRows && !$0.isDense }.map(\.head))
        (columnOffsets, gathers, gatheredColumns) = Self.gathers(parts, of: tiled, shape: shape)
    }

    /// Kept pairs of all heads over their causal pairs.
    public var density: Double {
        Double(keptPairs.reduce(0, +)) / (Double(shape.causalPairs) * Double(shape.queryHeads))
    }

    /// Sparse and dense rows never mix in a block. With key blocks in the pattern, all rows of a row block stand in one query
    /// block of the mask; with chosen key blocks, all rows of a lane block stand in one query block of the lists, which still share the
    /// window's tiles in one row block.
    package static func rowBlocks(head: Int, parts: PatternParts, shape: AttentionShape, laneBlocks: Int) -> [RowBlock] {
        let size = laneBlocks * KernelTable.lanes
        let denseRows = parts.isDense ? shape.queryCount : min(shape.queryCount, parts.denseLastRows)
        let firstDense = shape.queryCount - denseRows
        let sparse = sparseRows(0..<firstDense, parts: parts, firstPosition: shape.firstPosition, size: size)
        return sparse.map { rows in
            RowBlock(
                head: head, firstRow: rows.lowerBound, rows: rows.count, isDense: false,
                cost: keysTouched(parts, positions: shape.firstPosition + rows.lowerBound..<shape.firstPosition + rows.upperBound))
        }
            + split(firstDense..<shape.queryCount, size).map { rows in
                RowBlock(
                    head: head, firstRow: rows.lowerBound, rows: rows.count, isDense: true, cost: shape.firstPosition + rows.upperBound)
            }
    }

    private static func sparseRows(_ rows: Range<Int>, parts: PatternParts, firstPosition: Int, size: Int) -> [Range<Int>] {
        guard parts.hasBlocks || parts.hasChosenBlocks else { return split(rows, size) }
        let size = parts.hasBlocks ? min(size, BlockMask.blockSize) : size
        guard parts.hasChosenBlocks else { return aligned(rows, firstPosition: firstPosition, size: size) }
        // Rows up to the first whole query block are one of their own, so that every lane block but the first begins with a query block.
        let first = min(rows.upperBound, rows.lowerBound + (KernelTable.lanes - firstPosition % KernelTable.lanes) % KernelTable.lanes)
        return split(rows.lowerBound..<first, size) + aligned(first..<rows.upperBound, firstPosition: firstPosition, size: size)
    }

    private static func keysTouched(_ parts: PatternParts, positions: Range<Int>) -> Int {
        let windowStart = max(0, positions.lowerBound - parts.window + 1)
        var keys = positions.upperBound - windowStart + parts.columns.count(below: positions.upperBound - parts.window)
        if parts.hasBlocks {
            keys += BlockMask.blockSize * parts.keyBlocks(queryBlock: positions.lowerBound / BlockMask.blockSize).count
        }
        if parts.hasChosenBlocks {
            // Each lane block goes over its own: its share of what all of them do.
            let size = WindowKeyBlocks.queryBlockRows
            let queryBlocks = positions.lowerBound / size..<(positions.upperBound - 1) / size + 1
            keys += queryBlocks.reduce(0) { $0 + parts.chosenKeys(queryBlock: $1).count } / queryBlocks.count
        }
        return keys
    }

    private static func split(_ rows: Range<Int>, _ size: Int) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: size).map { $0..<min($0 + size, rows.upperBound) }
    }

    /// Cuts where positions are multiples of `size`, a divisor of the mask's block size.
    private static func aligned(_ rows: Range<Int>, firstPosition: Int, size: Int) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var row = rows.lowerBound
        while row < rows.upperBound {
            let end = min(rows.upperBound, row + size - (firstPosition + row) % size)
            result.append(row..<end)
            row = end
        }
        return result
    }

    /// Heads of one key-value head with equal columns share a copy. Sinks past the last key are no columns.
    private static func gathers(
        _ parts: [PatternParts], of heads: Set<Int>, shape: AttentionShape
    ) -> (offsets: [Int], gathers: [Gather], total: Int) {
        struct Source: Hashable {
            let keyValueHead: Int
            let columns: [Int32]
        }
        let (chunk, align) = (256, KernelTable.mostValueKeys)
        var known: [Source: Int] = [:]
        var offsets: [Int] = []
        var gathers: [Gather] = []
        var total = 0
        for (head, part) in parts.enumerated() {
            guard heads.contains(head), !part.columns.isEmpty else {
                offsets.append(0)
                continue
            }
            let count = part.columns.count(below: shape.keyCount)
            let source = Source(keyValueHead: shape.keyValueHead(of: head), columns: part.columns)
            if let offset = known[source] {
                offsets.append(offset)
                continue
            }
            known[source] = total
            offsets.append(total)
            gathers += stride(from: 0, to: count, by: chunk).map { Gather(head: head, columns: $0..<min($0 + chunk, count)) }
            total += (count + align - 1) / align * align
        }
        return (offsets, gathers, total)
    }
}
