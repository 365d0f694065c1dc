import AttentionCore

/// A head's attention map made small: cells of queries × keys, and the pattern on it.
public struct AttentionPicture: Sendable, Hashable, Codable {
    /// Cells along each side at most.
    static let cells = 64

    /// Tokens along a cell's side.
    public let cellTokens: Int
    /// Cells along each side.
    public let side: Int
    /// [query cell][key cell ≤ query cell], row after row: the mean over the cell's queries of their mass on its keys.
    public let mass: [Float]
    /// The same cells: the share of the causal pairs that the pattern keeps, from 16 pairs of each.
    public let kept: [Float]
    /// [key cell]: the mean over queries of the mass on its keys that the window does not hold.
    public let importance: [Float]
    /// [key cell]: the share of its keys that are columns of the pattern.
    public let columns: [Float]
    /// Mean retained mass of the pattern's window with the heaviest columns, by `columnCounts`.
    public let cumulative: [Float]
    public let columnCounts: [Int]

    static func cellSize(keyCount: Int) -> Int { (keyCount + cells - 1) / cells }

    /// Cells along each side of a picture of so many keys.
    package static func side(keyCount: Int) -> Int {
        let size = cellSize(keyCount: keyCount)
        return (keyCount + size - 1) / size
    }

    init(_ masses: HeadMasses, pattern: SparsePattern) {
        let shape = masses.shape
        let parts = pattern.parts
        let size = Self.cellSize(keyCount: shape.keyCount)
        let side = Self.side(keyCount: shape.keyCount)
        self.cellTokens = size
        self.side = side
        func cell(_ index: Int) -> Range<Int> { index * size..<min((index + 1) * size, shape.keyCount) }
        var (mass, kept): ([Float], [Float]) = ([], [])
        for query in 0..<side {
            let rows = cell(query).clamped(to: shape.firstPosition..<shape.keyCount).count
            for key in 0...query {
                mass.append(rows == 0 ? 0 : Float(masses.cells[query * Self.cells + key]) / Float(rows))
                kept.append(Self.keptShare(pattern, queries: cell(query), keys: cell(key), shape: shape))
            }
        }
        self.mass = mass
        self.kept = kept
        let outside = masses.columns(outside: parts.isDense ? 0 : parts.window)
        importance = (0..<side).map { Float(outside[cell($0)].reduce(0, +) / Double(shape.queryCount)) }
        let flags = Set(parts.columns)
        columns = (0..<side).map { index in
            Float(cell(index).filter { flags.contains(Int32($0)) }.count) / Float(cell(index).count)
        }
        let window = parts.isDense ? 0 : masses.windowMass(parts.window)
        let sorted = outside.sorted(by: >)
        // The pattern's own count is among them.
        columnCounts = Set(LineCounts(upTo: shape.keyCount).counts + [parts.columns.count]).sorted()
        var (sum, done) = (window * Double(shape.queryCount), 0)
        cumulative = columnCounts.map { count in
            sum += sorted[done..<count].reduce(0, +)
            done = count
            return Float((sum / Double(shape.queryCount)).clampedShare)
        }
    }

    /// Kept among the causal pairs of four rows and four keys at equal distances.
    private static func keptShare(_ pattern: SparsePattern, queries: Range<Int>, keys: Range<Int>, shape: AttentionShape) -> Float {
        var (kept, all) = (0, 0)
        for i in 0..<4 {
            let position = queries.lowerBound + (2 * i + 1) * queries.count / 8
            for j in 0..<4 {
                let key = keys.lowerBound + (2 * j + 1) * keys.count / 8
                guard key <= position, position >= shape.firstPosition else { continue }
                all += 1
                if pattern.keeps(key: key, position: position, shape: shape) { kept += 1 }
            }
        }
        return all == 0 ? 0 : Float(kept) / Float(all)
    }
}
