extension PatternParts {
    /// The exact number of kept pairs of one head, each counted once however many parts keep it.
    ///
    /// Complexity: O(queries + columns) without blocks, O(blocks² + queries + blocks · columns) with them.
    public func keptPairs(_ shape: AttentionShape) -> Int {
        if isDense { return shape.causalPairs }
        guard hasBlocks else { return WindowColumns(window: window, columns: columns, denseLastRows: denseLastRows).keptPairs(shape) }
        let firstDense = max(shape.firstPosition, shape.keyCount - denseLastRows)
        var pairs = (firstDense + 1 + shape.keyCount) * (shape.keyCount - firstDense) / 2
        var position = shape.firstPosition
        while position < firstDense {
            let queryBlock = position / BlockMask.blockSize
            let end = min(firstDense, (queryBlock + 1) * BlockMask.blockSize)
            pairs += keptPairs(positions: position..<end, queryBlock: queryBlock)
            position = end
        }
        return pairs
    }

    /// Rows of one query block, none of them dense: the window, and before it the kept blocks and the columns outside these.
    private func keptPairs(positions: Range<Int>, queryBlock: Int) -> Int {
        let size = BlockMask.blockSize
        let row = blockRow(queryBlock)
        let keptBelow = row.countsBelow
        let loose = columns.prefix(columns.count(below: positions.upperBound)).filter { !row.contains(Int($0) / size) }
        var looseBelow = 0
        var pairs = 0
        for position in positions {
            let start = max(0, position - window + 1)
            while looseBelow < loose.count && Int(loose[looseBelow]) < start { looseBelow += 1 }
            let inBlocks = keptBelow[start / size] * size + (row.contains(start / size) ? start % size : 0)
            pairs += position + 1 - start + inBlocks + looseBelow
        }
        return pairs
    }
}
