import AttentionCore

/// Which rows of one call are scored for key blocks, and against which keys.
package struct KeyBlockGeometry: Sendable {
    /// Keys of a block.
    package let blockTokens: Int
    /// Key blocks that lie whole in the sinks: they are kept anyway.
    package let sinkBlocks: Int
    private let window: Int
    /// Positions of the call's rows that are not dense.
    private let positions: Range<Int>

    package init(_ parameters: SampleAttentionParameters, shape: AttentionShape, promptLength: Int) {
        blockTokens = parameters.keyBlockTokens
        sinkBlocks = parameters.sinks / blockTokens
        window = parameters.window.positions(promptLength: promptLength)
        let end = min(shape.keyCount, max(0, promptLength - parameters.denseLastRows))
        positions = shape.firstPosition..<max(shape.firstPosition, end)
    }

    /// The query blocks that have rows to score.
    package var queryBlocks: Range<Int> {
        let rows = WindowKeyBlocks.queryBlockRows
        let first = positions.lowerBound / rows
        return first..<(positions.isEmpty ? first : (positions.upperBound - 1) / rows + 1)
    }

    /// The positions of a query block's rows that are scored: those of the call that are not dense.
    package func rows(queryBlock: Int) -> Range<Int> {
        let rows = WindowKeyBlocks.queryBlockRows
        return positions.clamped(to: queryBlock * rows..<(queryBlock + 1) * rows)
    }

    /// The first keys that a query block's rows are scored with: those that the window of its last row leaves behind.
    package func keys(queryBlock: Int) -> Int { max(0, rows(queryBlock: queryBlock).upperBound - window) }

    /// The key blocks that are ranked for a query block; the last of them may have scores of its first keys only.
    package func keyBlocks(queryBlock: Int) -> Range<Int> {
        let end = (keys(queryBlock: queryBlock) + blockTokens - 1) / blockTokens
        return min(sinkBlocks, end)..<end
    }

    /// Those of the last query block, which has the most; none without query blocks.
    package var mostKeyBlocks: Range<Int> { queryBlocks.isEmpty ? 0..<0 : keyBlocks(queryBlock: queryBlocks.upperBound - 1) }
}
