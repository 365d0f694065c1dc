import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What one block of sampled rows leaves behind tile by tile, until its softmax is known.
package struct SampledStrip {
    package struct Layout {
        let keys: Int
        /// 32-bit elements of a tile's probabilities.
        let tileElements: Int

        package init(keys: Int, kernels: SATileKernelTable) {
            self.keys = keys
            tileElements = kernels.steps(KernelTable.tileKeys) * KernelTable.lanes
        }

        package var tiles: Int { (keys + KernelTable.tileKeys - 1) / KernelTable.tileKeys }
        /// Kernels may use the room of floats for a tile that they leave in BF16, so the last one has that behind it.
        private var slack: Int { KernelTable.tileKeys * KernelTable.lanes - tileElements }
        package var floats: Int { tiles * (tileElements + 2 * KernelTable.lanes) + slack }
    }

    /// [tile][step][lane]: probabilities relative to the tile's shift.
    let probabilities: UnsafeMutablePointer<Float>
    /// [tile][lane]: the shift (after `SampledBlock.scoreAll` the weight), and the sum of the tile's probabilities.
    private let shifts, sums: UnsafeMutablePointer<Float>
    private let tileElements: Int

    package init(layout: Layout, base: UnsafeMutablePointer<Float>) {
        tileElements = layout.tileElements
        shifts = base
        sums = shifts + layout.tiles * KernelTable.lanes
        probabilities = sums + layout.tiles * KernelTable.lanes
    }

    package func probabilities(tile: Int) -> UnsafeMutablePointer<Float> { probabilities + tile * tileElements }
    package func shift(tile: Int) -> UnsafeMutablePointer<Float> { shifts + tile * KernelTable.lanes }
    package func sum(tile: Int) -> UnsafeMutablePointer<Float> { sums + tile * KernelTable.lanes }
}

/// Up to one lane block of sampled rows of one head.
package struct SampledBlock {
    private let kernel: AttentionKernel
    let tiles: SATileKernelTable
    let precision: Precision
    private let key: HeadTensor
    /// The same in the precision of the tiles, [key][step]; nil where each tile is packed on its own.
    private let packedKeys: UnsafePointer<Float>?
    let scratch: BlockScratch
    private let dimension: Int
    private let cap: Float
    /// Positions of the rows, ascending, one a lane.
    package let positions: [Int]

    package var keyEnd: Int { positions.last! + 1 }

    /// - Parameters:
    ///   - query, key: one head each; queries are the last positions of the keys.
    ///   - rows: query indices, ascending.
    ///   - rule: of scores; masses are of the real keys, so that sinks play no part.
    init(
        kernel: AttentionKernel, query: HeadTensor, key: HeadTensor, packedKeys: UnsafePointer<Float>?, rows: ArraySlice<Int>,
        rule: ScoreRule, precision: Precision,
        scratch: BlockScratch
    ) {
        self.kernel = kernel
        self.precision = precision
        self.key = key
        self.packedKeys = packedKeys
        self.scratch = scratch
        cap = AttentionKernel.scoreCap(rule)
        tiles = kernel.table.tiles(precision)
        dimension = query.dimension
        positions = rows.map { key.tokens - query.tokens + $0 }
        for (lane, row) in rows.enumerated() {
            (scratch.rows + lane * dimension).update(from: query.row(head: 0, token: row), count: dimension)
        }
        tiles.pack_queries(
            scratch.rows, dimension, Int32(rows.count), Int32(dimension), AttentionKernel.scoreScale(dimension), scratch.queries)
        scratch.reset(dimension: 0, rows: rows.count)
    }

    /// Fills a strip, then turns its shifts into what a tile's probabilities must still be multiplied with:
    /// `2^(shift − LSE)`, 0 in lanes without a row.
    package func scoreAll(into strip: SampledStrip) {
        forEachTile(to: keyEnd) { index, tile in
            score(tile, probabilities: strip.probabilities(tile: index), sum: strip.sum(tile: index))
            strip.shift(tile: index).update(from: scratch.shift, count: KernelTable.lanes)
        }
        let tiles = (keyEnd + KernelTable.tileKeys - 1) / KernelTable.tileKeys
        for index in (0..<tiles).reversed() { weigh(strip, tile: index, of: tiles) }
    }

    private func score(_ range: Range<Int>, probabilities: UnsafeMutablePointer<Float>, sum: UnsafeMutablePointer<Float>) {
        let isMasked = boundCausally(range)
        var tile = keyTile(range)
        var state = SALaneBlock(
            queries: scratch.queries, output: nil, shift: scratch.shift, sum: scratch.sum, first: isMasked ? scratch.firstLane : nil,
            end: isMasked ? scratch.endLane : nil)
        tiles.score(&tile, &state, Int32(dimension), probabilities, sum)
    }

    private func keyTile(_ range: Range<Int>) -> SATile {
        let keys = key.row(head: 0, token: range.lowerBound)
        if precision == .fp32 {
            return SATile(keys: keys, stride: key.tokenStride, count: range.count, cap: cap)
        }
        if let packedKeys {
            let steps = tiles.steps(dimension)
            return SATile(keys: packedKeys + range.lowerBound * steps, stride: steps, count: range.count, cap: cap)
        }
        tiles.pack_keys(keys, key.tokenStride, nil, Int32(range.count), Int32(dimension), scratch.tileKeys)
        var tile = SATile(keys: scratch.tileKeys, stride: tiles.steps(dimension), count: range.count, cap: cap)
        if range.upperBound < keyEnd {
            tile.next.0 = keys + range.count * key.tokenStride
            tile.next_stride.0 = key.tokenStride
            tile.next_rows = Int32(min(KernelTable.tileKeys, keyEnd - range.upperBound))
        }
        return tile
    }

    /// From the last tile to the first: shifts seldom move, so a tile's weights are mostly those of the one after it.
    private func weigh(_ strip: SampledStrip, tile: Int, of tiles: Int) {
        let lanes = KernelTable.lanes
        let shift = strip.shift(tile: tile)
        if tile == tiles - 1 {
            // `weights` keeps the shift that the next tile had, `added` its weights.
            scratch.weights.update(from: shift, count: lanes)
            for lane in 0..<lanes { scratch.added[lane] = weight(lane, shift: shift[lane]) }
        } else {
            for lane in 0..<lanes where shift[lane] != scratch.weights[lane] {
                scratch.weights[lane] = shift[lane]
                scratch.added[lane] = weight(lane, shift: shift[lane])
            }
        }
        shift.update(from: scratch.added, count: lanes)
    }

    private func weight(_ lane: Int, shift: Float) -> Float {
        lane < positions.count ? exp2f(shift - scratch.shift[lane]) / scratch.sum[lane] : 0
    }

    package func forEachTile(to end: Int? = nil, _ body: (_ index: Int, _ tile: Range<Int>) -> Void) {
        let end = end ?? keyEnd
        for (index, start) in stride(from: 0, to: end, by: KernelTable.tileKeys).enumerated() {
            body(index, start..<min(start + KernelTable.tileKeys, end))
        }
    }

    /// Fills the lane bounds of a tile for the rows that see a key: at its own position and after. False when all rows see all of it.
    private func boundCausally(_ tile: Range<Int>) -> Bool {
        // A block that is mostly empty is masked throughout, because panels pass over lanes that keep nothing.
        let isFull = 4 * positions.count > 3 * KernelTable.lanes
        guard !isFull || tile.upperBound - 1 > positions[0] else { return false }
        var lane = 0
        for (index, key) in tile.enumerated() {
            while lane < positions.count && positions[lane] < key { lane += 1 }
            scratch.firstLane[index] = UInt8(lane < positions.count ? lane : KernelTable.lanes)
            scratch.endLane[index] = UInt8(isFull ? KernelTable.lanes : positions.count)
        }
        return true
    }
}
