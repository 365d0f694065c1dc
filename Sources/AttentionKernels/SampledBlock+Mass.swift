import AttentionCore
import CAttentionKernels

/// Where the mass of a scored strip lies: by key, by row, by block.
///
/// A pair of a query position p and a key t ≤ p has the lag p − t; sums are over pairs whose lag lies in a range.
extension SampledBlock {
    /// Which pairs of a tile's keys and the block's rows have lags in a range.
    private enum Coverage { case none, some, all }

    /// Fills the lane bounds of a tile where they are needed. Key t is seen by rows at t + lags.lowerBound ..< t + lags.upperBound.
    private func bound(_ tile: Range<Int>, lags: Range<Int>) -> Coverage {
        let least = positions[0] - (tile.upperBound - 1)
        let most = positions.last! - tile.lowerBound
        guard most >= lags.lowerBound, least < lags.upperBound else { return .none }
        // A scored strip is zero where a key comes after its row.
        if max(0, least) >= lags.lowerBound && most < lags.upperBound { return .all }
        fillLanes(tile) {
            lags.upperBound == .max ? .max : $0 + lags.upperBound
        } from: {
            $0 + lags.lowerBound
        }
        return .some
    }

    /// Sets the lanes of each key: rows at positions `first(key) ..< end(key)`, both not falling from key to key.
    private func fillLanes(_ tile: Range<Int>, upTo end: (Int) -> Int, from first: (Int) -> Int) {
        var (low, high) = (0, 0)
        for (index, key) in tile.enumerated() {
            let (start, stop) = (first(key), end(key))
            while low < positions.count && positions[low] < start { low += 1 }
            while high < positions.count && positions[high] < stop { high += 1 }
            scratch.firstLane[index] = UInt8(low)
            scratch.endLane[index] = UInt8(high)
        }
    }

    /// Adds what each key receives to `mass` [key], counting a key only in rows at least `lag` positions after it.
    func addColumnMass(strip: SampledStrip, lag: Int, into mass: UnsafeMutablePointer<Float>) {
        forEachTile(to: max(0, keyEnd - lag)) { index, tile in
            addColumnMass(strip: strip, index: index, tile: tile, lags: lag..<Int.max, into: mass + tile.lowerBound)
        }
    }

    /// The same for one tile and any range of lags; `mass` begins at the tile's first key.
    package func addColumnMass(
        strip: SampledStrip, index: Int, tile: Range<Int>, lags: Range<Int>, into mass: UnsafeMutablePointer<Float>
    ) {
        let coverage = bound(tile, lags: lags)
        guard coverage != .none else { return }
        let isMasked = coverage == .some
        tiles.column_mass(
            strip.probabilities(tile: index), Int32(tile.count), isMasked ? scratch.firstLane : nil, isMasked ? scratch.endLane : nil,
            strip.shift(tile: index), mass)
    }

    /// Adds what each row gives to the keys of a tile at some lags to `mass` [lane].
    package func addRowMass(strip: SampledStrip, index: Int, tile: Range<Int>, lags: Range<Int>, into mass: UnsafeMutablePointer<Float>) {
        switch bound(tile, lags: lags) {
        case .none: return
        case .all: addTileSums(strip: strip, index: index, into: mass)
        case .some:
            tiles.row_mass(
                strip.probabilities(tile: index), Int32(tile.count), scratch.firstLane, scratch.endLane, nil, nil,
                strip.shift(tile: index), mass)
        }
    }

    /// Adds what each row gives to the keys of a tile at some lags to `mass` [group][lane], by the keys' groups.
    ///
    /// - Parameter order: the tile's keys in the order to take them in, counted from its first, nil as they stand; quickest with those of
    ///   a group after each other.
    package func addGroupMass(
        strip: SampledStrip, index: Int, tile: Range<Int>, lags: Range<Int>, groups: UnsafePointer<UInt8>,
        order: UnsafePointer<UInt8>? = nil, into mass: UnsafeMutablePointer<Float>
    ) {
        let coverage = bound(tile, lags: lags)
        guard coverage != .none else { return }
        let isMasked = coverage == .some
        tiles.row_mass(
            strip.probabilities(tile: index), Int32(tile.count), isMasked ? scratch.firstLane : nil, isMasked ? scratch.endLane : nil,
            groups, order, strip.shift(tile: index), mass)
    }

    private func addTileSums(strip: SampledStrip, index: Int, into mass: UnsafeMutablePointer<Float>) {
        let (sum, weight) = (strip.sum(tile: index), strip.shift(tile: index))
        for lane in 0..<KernelTable.lanes { mass[lane] += sum[lane] * weight[lane] }
    }

    /// Adds what each tile of keys receives to `columns` [tile] and to `slashes` [query block − tile].
    func addBlockMass(strip: SampledStrip, columns: UnsafeMutablePointer<Float>, slashes: UnsafeMutablePointer<Float>) {
        forEachTile { index, _ in
            let sum = strip.sum(tile: index)
            let weight = strip.shift(tile: index)
            for (lane, position) in positions.enumerated() where position >= index * KernelTable.tileKeys {
                let mass = sum[lane] * weight[lane]
                columns[index] += mass
                slashes[position / KernelTable.tileKeys - index] += mass
            }
        }
    }

    /// r of each row [lane]: the share of its mass on the keys that a pattern keeps, r_i = Σ_{j kept} P_ij. Not a number where a score of
    /// the row is none or infinite; in dense rows, which are not looked at, 1.
    ///
    /// Complexity: O(rows · keys) at worst; tiles that the pattern keeps or drops whole cost nothing.
    /// Source: CRA, SampleAttention (arXiv 2406.15486), is the least of them.
    package func retainedMass(strip: SampledStrip, parts: PatternParts, keyCount: Int) -> [Double] {
        let firstDense = parts.isDense ? 0 : keyCount - parts.denseLastRows
        if firstDense <= positions[0] { return positions.map { _ in 1 } }
        let chosen = chosenKeys(parts)
        var kept = [Double](repeating: 0, count: KernelTable.lanes)
        var total = kept
        var partial = [Float](repeating: 0, count: KernelTable.lanes)
        forEachTile { index, tile in
            let (sum, weight) = (strip.sum(tile: index), strip.shift(tile: index))
            partial.withUnsafeMutableBufferPointer { partial in
                partial.update(repeating: 0)
                addKeptMass(strip: strip, index: index, tile: tile, parts: parts, into: partial.baseAddress!)
                addChosenMass(strip: strip, index: index, tile: tile, chosen: chosen, parts: parts, into: partial.baseAddress!)
            }
            for (lane, position) in positions.enumerated() {
                let whole = Double(sum[lane] * weight[lane])
                let keepsBlock = parts.hasBlocks && parts.keepsBlock(query: position / BlockMask.blockSize, key: index)
                total[lane] += whole
                kept[lane] += keepsBlock ? whole : Double(partial[lane])
            }
        }
        return positions.indices.map { positions[$0] >= firstDense ? 1 : (kept[$0] / total[$0]).clampedShare }
    }

    /// Window and token columns of one tile.
    private func addKeptMass(
        strip: SampledStrip, index: Int, tile: Range<Int>, parts: PatternParts, into mass: UnsafeMutablePointer<Float>
    ) {
        let columns = parts.columns[parts.columns.count(below: tile.lowerBound)..<parts.columns.count(below: tile.upperBound)]
        guard !columns.isEmpty else {
            return addRowMass(strip: strip, index: index, tile: tile, lags: 0..<parts.window, into: mass)
        }
        var next = columns.startIndex
        fillLanes(tile) {
            $0 + parts.window
        } from: {
            $0
        }
        for (index, key) in tile.enumerated() where next < columns.endIndex && Int(columns[next]) == key {
            scratch.endLane[index] = UInt8(positions.count)
            next += 1
        }
        tiles.row_mass(
            strip.probabilities(tile: index), Int32(tile.count), scratch.firstLane, scratch.endLane, nil, nil,
            strip.shift(tile: index), mass)
    }

    /// Rows of one query block with the keys chosen for it.
    private struct ChosenRows {
        var lanes: Range<Int>
        let keys: ChosenKeys
    }

    private func chosenKeys(_ parts: PatternParts) -> [ChosenRows] {
        guard parts.hasChosenBlocks else { return [] }
        let queryBlocks = positions.map { $0 / WindowKeyBlocks.queryBlockRows }
        var rows: [ChosenRows] = []
        for lane in positions.indices {
            if lane > 0, queryBlocks[lane] == queryBlocks[lane - 1] {
                rows[rows.count - 1].lanes = rows[rows.count - 1].lanes.lowerBound..<lane + 1
            } else {
                rows.append(ChosenRows(lanes: lane..<lane + 1, keys: parts.chosenKeys(queryBlock: queryBlocks[lane])))
            }
        }
        return rows
    }

    /// Chosen keys of one tile that are not in the window and no columns: the tile is summed by units of keys, of which each row takes its
    /// own.
    private func addChosenMass(
        strip: SampledStrip, index: Int, tile: Range<Int>, chosen: [ChosenRows], parts: PatternParts,
        into mass: UnsafeMutablePointer<Float>
    ) {
        let (size, lanes) = (ChosenKeys.unitTokens, KernelTable.lanes)
        let first = tile.lowerBound / size
        let kept = chosen.map {
            $0.keys.units[$0.keys.units.count(below: first)..<$0.keys.units.count(below: first + KernelTable.tileKeys / size)]
        }
        if kept.allSatisfy(\.isEmpty) { return }
        fillLanes(tile) { _ in
            .max
        } from: {
            $0 + parts.window
        }
        for column in parts.columns[parts.columns.count(below: tile.lowerBound)..<parts.columns.count(below: tile.upperBound)] {
            scratch.endLane[Int(column) - tile.lowerBound] = 0
        }
        let groups = (0..<KernelTable.tileKeys).map { UInt8($0 / size) }
        var sums = [Float](repeating: 0, count: KernelTable.tileKeys / size * lanes)
        tiles.row_mass(
            strip.probabilities(tile: index), Int32(tile.count), scratch.firstLane, scratch.endLane, groups, nil, strip.shift(tile: index),
            &sums)
        for (rows, units) in zip(chosen, kept) {
            for unit in units { for lane in rows.lanes { mass[lane] += sums[(Int(unit) - first) * lanes + lane] } }
        }
    }

    /// A row's probabilities that are at least a limit, and the sum of the others.
    ///
    /// - Parameters:
    ///   - least: [lane], positive: keys after a row, whose probability is 0, are never collected.
    ///   - rows: [lane][stride], a row for each of `lanesPerBlock` lanes, with room for all keys and `RowKernels.collectSlack` more.
    ///   - body: gets each lane's collected probabilities in the order of keys, and what the row's other keys hold together.
    package func collect(
        strip: SampledStrip, least: [Float], into rows: UnsafeMutablePointer<Float>, stride: Int,
        body: (_ lane: Int, _ collected: UnsafeBufferPointer<Float>, _ rest: Double) -> Void
    ) {
        let lanes = KernelTable.lanes
        precondition(least.count == lanes && least.allSatisfy { $0 > 0 }, "one positive limit a lane")
        var counts = [Int32](repeating: 0, count: lanes)
        var rest = [Double](repeating: 0, count: lanes)
        var tileRest = [Float](repeating: 0, count: lanes)
        forEachTile { index, tile in
            for lane in 0..<lanes { tileRest[lane] = 0 }
            tiles.collect(
                strip.probabilities(tile: index), Int32(tile.count), strip.shift(tile: index), least, rows, stride, &counts, &tileRest)
            for lane in 0..<lanes { rest[lane] += Double(tileRest[lane]) }
        }
        for lane in positions.indices {
            body(lane, UnsafeBufferPointer(start: rows + lane * stride, count: Int(counts[lane])), rest[lane])
        }
    }
}
