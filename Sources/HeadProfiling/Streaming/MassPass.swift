import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// The first pass over a head's probabilities: where the mass lies, how few keys each row needs, what patterns retain.
///
/// Memory: O(keys) a worker and (keys / 128)² sums of blocks; two strips of rows × keys a worker.
final class MassPass: @unchecked Sendable {
    /// Borders of the bands of lags that columns' masses are kept apart by: 0, then every window asked about.
    let lagBorders: [Int]
    let shape: AttentionShape
    let alphas: [Double]
    private let walk: ProbabilityWalk
    private let blocks: Int
    /// [query block][key block].
    private let blockMasses: AlignedBuffer<Double>
    /// [worker][band][key], [worker][query cell][key cell]; see `MassSum`.
    private let columns, cells: AlignedBuffer<Int64>
    /// [worker][α].
    private let keys: AlignedBuffer<Int>
    /// [worker][lane][stride].
    private let rows: AlignedBuffer<Float>
    private var rowStride: Int { Self.rowStride(shape) }

    /// Not a power of two, or the rows of a block would fall on the same lines of the cache.
    private static func rowStride(_ shape: AttentionShape) -> Int { shape.keyCount + RowKernels.collectSlack + 32 }

    init(walk: ProbabilityWalk, shape: AttentionShape, windows: [Int], alphas: [Double]) {
        self.walk = walk
        self.shape = shape
        self.alphas = alphas
        lagBorders = [0] + Set(windows.filter { (1..<shape.keyCount).contains($0) }).sorted()
        blocks = BlockMask.blockCount(tokens: shape.keyCount)
        let workers = walk.pool.threads
        columns = AlignedBuffer(count: workers * lagBorders.count * shape.keyCount)
        blockMasses = AlignedBuffer(count: blocks * blocks)
        cells = AlignedBuffer(count: workers * AttentionPicture.cells * AttentionPicture.cells)
        keys = AlignedBuffer(count: workers * alphas.count)
        rows = AlignedBuffer(count: workers * ProbabilityWalk.lanes * Self.rowStride(shape))
    }

    /// Measures one head; the sums of an earlier head are gone.
    func run(head: Int, inputs: LayerInputs, patterns: [PatternParts], workspace: AttentionWorkspace) -> HeadMasses {
        clear()
        let retained = AlignedBuffer<Double>(count: patterns.count * shape.queryCount)
        let target = SharedPointer(retained.base)
        walk.run(head: head, inputs: inputs, workspace: workspace) { [self] step in
            addColumns(step)
            addBlocks(step)
            addCells(step)
            count(step)
            for (index, parts) in patterns.enumerated() {
                let masses = step.block.retainedMass(strip: step.strip, parts: parts, keyCount: shape.keyCount)
                for (lane, mass) in masses.enumerated() { target.base[index * shape.queryCount + step.firstRow + lane] = mass }
            }
        }
        return HeadMasses(
            shape: shape, lagBorders: lagBorders,
            columnBands: walk.pool.map(lagBorders.count) { sum(columns, at: $0, width: shape.keyCount) },
            blocks: Array(blockMasses.elements), cells: sum(cells, at: 0, width: AttentionPicture.cells * AttentionPicture.cells),
            fewestKeys: alphas.indices.map { alpha in
                (0..<walk.pool.threads).reduce(0) { $0 + keys[$1 * alphas.count + alpha] }
            },
            retained: patterns.indices.map { Array(retained.elements[$0 * shape.queryCount..<($0 + 1) * shape.queryCount]) })
    }

    /// On all threads: the sums of a long prompt are megabytes.
    private func clear() {
        let workers = walk.pool.threads
        walk.pool.run(workers) { [self] _, index in
            func clear<Sum: AdditiveArithmetic>(_ sums: UnsafeMutableBufferPointer<Sum>) {
                let share = sums.count / workers
                sums[index * share..<(index + 1) * share].update(repeating: .zero)
            }
            clear(columns.elements)
            clear(cells.elements)
            clear(keys.elements)
        }
        blockMasses.elements.update(repeating: 0)
    }

    private func sum(_ buffer: borrowing AlignedBuffer<Int64>, at index: Int, width: Int) -> [Double] {
        let workers = walk.pool.threads
        var units = [Int64](repeating: 0, count: width)
        for worker in 0..<workers {
            let own = buffer.base + worker * (buffer.count / workers) + index * width
            for i in 0..<width { units[i] &+= own[i] }
        }
        return units.map(MassSum.mass)
    }

    private func addColumns(_ step: ProbabilityWalk.Step) {
        let positions = step.block.positions
        withUnsafeTemporaryAllocation(of: Float.self, capacity: SampledScores.keysPerTile) { received in
            step.block.forEachTile { index, tile in
                let least = positions[0] - (tile.upperBound - 1)
                let most = positions.last! - tile.lowerBound
                for (band, border) in lagBorders.enumerated() {
                    let end = band + 1 < lagBorders.count ? lagBorders[band + 1] : .max
                    guard border <= most, end > least else { continue }
                    received.update(repeating: 0)
                    step.block.addColumnMass(
                        strip: step.strip, index: index, tile: tile, lags: border..<end, into: received.baseAddress!)
                    let sums = columns.base + (step.worker * lagBorders.count + band) * shape.keyCount + tile.lowerBound
                    for key in 0..<tile.count { sums[key] &+= MassSum.units(received[key]) }
                }
            }
        }
    }

    private func addBlocks(_ step: ProbabilityWalk.Step) {
        let target = blockMasses.base + step.queryBlock * blocks
        step.block.forEachTile { index, _ in target[index] += step.mass(ofTile: index) { _ in true } }
    }

    /// Rows of a block fall into a few query cells, keys of a tile into a few key cells.
    private func addCells(_ step: ProbabilityWalk.Step) {
        let size = AttentionPicture.cellSize(keyCount: shape.keyCount)
        let side = AttentionPicture.cells
        let lanes = ProbabilityWalk.lanes
        let target = cells.base + step.worker * side * side
        withUnsafeTemporaryAllocation(of: Float.self, capacity: side * lanes) { mass in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SampledScores.keysPerTile) { groups in
                mass.update(repeating: 0)
                step.block.forEachTile { index, tile in
                    for (offset, key) in tile.enumerated() { groups[offset] = UInt8(key / size) }
                    step.block.addGroupMass(
                        strip: step.strip, index: index, tile: tile, lags: 0..<Int.max, groups: groups.baseAddress!,
                        into: mass.baseAddress!)
                }
                for (lane, position) in step.block.positions.enumerated() {
                    for cell in 0...position / size { target[position / size * side + cell] &+= MassSum.units(mass[cell * lanes + lane]) }
                }
            }
        }
    }

    private func count(_ step: ProbabilityWalk.Step) {
        let own = rows.base + step.worker * ProbabilityWalk.lanes * rowStride
        let sums = keys.base + step.worker * alphas.count
        var counter = SparsityCounter(rows: walk.kernel.rowKernels, alphas: alphas)
        var least = [Float](repeating: .greatestFiniteMagnitude, count: ProbabilityWalk.lanes)
        for (lane, position) in step.block.positions.enumerated() { least[lane] = counter.leastNeeded(keys: position + 1) }
        step.block.collect(strip: step.strip, least: least, into: own, stride: rowStride) { lane, heavy, rest in
            let all = step.block.positions[lane] + 1
            counter.fewestKeys(heavy, rest: rest, keys: all) { alpha, fewest in sums[alpha] += fewest }
        }
    }
}

extension ProbabilityWalk.Step {
    /// The mass that chosen lanes give to the keys of a tile.
    func mass(ofTile index: Int, where isChosen: (_ lane: Int) -> Bool) -> Double {
        let (sum, weight) = (strip.sum(tile: index), strip.shift(tile: index))
        return block.positions.indices.reduce(0) { isChosen($1) ? $0 + Double(sum[$1] * weight[$1]) : $0 }
    }
}

/// Sums of one head's probabilities.
struct HeadMasses {
    let shape: AttentionShape
    let lagBorders: [Int]
    /// [border][key]: Σ over rows whose lag to the key is at least the border.
    private let columnsOutside: [[Double]]
    /// [query block][key block] of 128 tokens.
    let blocks: [Double]
    /// [query cell][key cell] of a picture.
    let cells: [Double]
    /// Σ_i k_i(α).
    let fewestKeys: [Int]
    /// [pattern][row]: r_i.
    let retained: [[Double]]

    /// - Parameter columnBands: [band][key]: Σ over rows whose lag to the key lies between two borders.
    init(
        shape: AttentionShape, lagBorders: [Int], columnBands: [[Double]], blocks: [Double], cells: [Double], fewestKeys: [Int],
        retained: [[Double]]
    ) {
        self.shape = shape
        self.lagBorders = lagBorders
        self.blocks = blocks
        self.cells = cells
        self.fewestKeys = fewestKeys
        self.retained = retained
        var outside = columnBands
        for band in outside.indices.dropLast().reversed() {
            for key in 0..<shape.keyCount { outside[band][key] += outside[band + 1][key] }
        }
        columnsOutside = outside
    }

    private var rows: Double { Double(shape.queryCount) }

    /// [key]: the mass from rows at least `lag` positions after it; `lag` is 0 or one of the borders, or past all keys.
    func columns(outside lag: Int) -> [Double] {
        guard let band = lagBorders.firstIndex(of: lag) else {
            precondition(lag >= shape.keyCount, "the lag must be a border")
            return Array(repeating: 0, count: shape.keyCount)
        }
        return columnsOutside[band]
    }

    /// Mean over rows of the mass on keys fewer than `lag` positions back.
    func windowMass(_ lag: Int) -> Double { lag == 0 ? 0 : (1 - columns(outside: lag).reduce(0, +) / rows).clampedShare }

    /// A pattern's columns with the mass they were chosen from.
    func selected(_ parts: PatternParts) -> SelectedColumns {
        let window = parts.isDense ? shape.keyCount : parts.window
        return SelectedColumns(
            positions: parts.columns, windowMass: windowMass(window), outsideMass: columns(outside: window).map { $0 / rows })
    }

    /// Mean over rows of the mass on the first keys.
    func sinkMass(_ count: Int) -> Double { columns(outside: 0).prefix(count).reduce(0, +) / rows }

    /// Mean over rows of the mass on the heaviest of some lines, for several numbers of them.
    func heaviest(_ counts: [Int], of lines: [Double]) -> [Double] {
        let ranked = lines.sorted(by: >)
        return counts.map { (ranked.prefix($0).reduce(0, +) / rows).clampedShare }
    }

    /// [key block], and [query block − key block].
    var blockColumns: [Double] { blockLines { $1 } }
    var blockSlashes: [Double] { blockLines { $0 - $1 } }

    private func blockLines(_ line: (_ query: Int, _ key: Int) -> Int) -> [Double] {
        let count = BlockMask.blockCount(tokens: shape.keyCount)
        var masses = [Double](repeating: 0, count: count)
        for query in 0..<count { for key in 0...query { masses[line(query, key)] += blocks[query * count + key] } }
        return masses
    }
}
