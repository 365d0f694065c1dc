extension PatternParts {
    /// The exact number of kept pairs of one head, each counted once however many parts keep it.
    ///
    /// Complexity: O(queries + columns) without blocks, O(blocks² + queries + blocks · columns) with them; and O(n log columns) for n
    /// units of chosen keys.
    public func keptPairs(_ shape: AttentionShape) -> Int {
        if isDense { return shape.causalPairs }
        let stripes = WindowColumns(window: window, columns: columns, denseLastRows: denseLastRows)
        return (hasBlocks ? pairsBesideBlocks(shape) : stripes.keptPairs(shape)) + chosenPairs(shape)
    }

    /// All but those of chosen keys that nothing else keeps.
    private func pairsBesideBlocks(_ shape: AttentionShape) -> Int {
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

    /// Pairs of chosen keys that are not in the window and no columns.
    private func chosenPairs(_ shape: AttentionShape) -> Int {
        let rows = shape.firstPosition..<max(shape.firstPosition, shape.keyCount - denseLastRows)
        guard let chosenBlocks, !rows.isEmpty else { return 0 }
        let size = WindowKeyBlocks.queryBlockRows
        return chosenBlocks.queryBlocks.clamped(to: rows.lowerBound / size..<(rows.upperBound - 1) / size + 1).reduce(0) { pairs, block in
            pairs + chosenPairs(positions: rows.clamped(to: block * size..<(block + 1) * size), queryBlock: block)
        }
    }

    private func chosenPairs(positions: Range<Int>, queryBlock: Int) -> Int {
        let size = ChosenKeys.unitTokens
        var pairs = 0
        for unit in chosenKeys(queryBlock: queryBlock).units {
            let first = Int(unit) * size
            if first + size <= positions.lowerBound - window + 1 {
                pairs += size * positions.count
            } else {
                for position in positions { pairs += min(max(position - window + 1 - first, 0), size) }
            }
            for column in columns[columns.count(below: first)..<columns.count(below: first + size)] {
                pairs -= max(0, positions.upperBound - max(positions.lowerBound, Int(column) + window))
            }
        }
        return pairs
    }
}
