import AttentionCore
import CAttentionKernels

/// A strip of keys as it stands in memory, cut into tiles that the lane blocks add.
extension RowBlockRun {
    /// The keys of a strip, as they stand in memory.
    struct StoredKeys {
        /// In the order of the tokens, as floats, when they are not gathered.
        let keys, values: UnsafePointer<Float>
        let keyStride, valueStride: Int
        let count: Int
        /// Packed in the kernel's precision already.
        let isPacked: Bool
    }

    func storedKeys(_ range: Range<Int>) -> StoredKeys {
        if let offset = packed?.offset(of: range.lowerBound, keyValueHead: keyValueHead) {
            return packedKeys(workspace.packedKeys, workspace.packedValues, offset: offset, count: range.count)
        }
        return StoredKeys(
            keys: key.row(head: keyValueHead, token: range.lowerBound), values: value.row(head: keyValueHead, token: range.lowerBound),
            keyStride: key.tokenStride, valueStride: value.tokenStride, count: range.count, isPacked: kernel.precision == .fp32)
    }

    func storedColumns(_ range: Range<Int>) -> StoredKeys {
        packedKeys(
            workspace.gatheredKeys, workspace.gatheredValues, offset: plan.columnOffsets[block.head] + range.lowerBound, count: range.count)
    }

    private func packedKeys(
        _ keys: borrowing AlignedBuffer<Float>, _ values: borrowing AlignedBuffer<Float>, offset: Int, count: Int
    ) -> StoredKeys {
        let steps = kernel.tiles.steps(dimension)
        return StoredKeys(
            keys: keys.base + offset * steps, values: values.base + kernel.tiles.steps(offset) * dimension, keyStride: steps,
            valueStride: dimension, count: count, isPacked: true)
    }

    /// Adds a strip tile by tile, each tile to every lane block that sees it; `bounds` gives the lanes that keep a key, `announcing` says
    /// what to fetch under a tile where it is not the strip's own next keys. Inlined, as `bounds` is asked for every key of a masked tile.
    @inline(__always)
    func attend(
        _ stored: StoredKeys, _ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock],
        announcing announce: (_ keys: Range<Int>, _ tile: inout SATile) -> Void = { _, _ in },
        bounds: (_ index: Int, _ lane: LaneBlock) -> (first: Int, end: Int)
    ) {
        let cap = AttentionKernel.scoreCap(plan.shape.scores)
        attend(
            strip, lanes,
            tile: { keys in
                var tile = packed(keys, of: stored, cap: cap)
                if stored.isPacked { announce(keys, &tile) } else { announceStored(after: keys, of: stored, in: &tile) }
                return tile
            }, bounds: bounds)
    }

    /// The same with tiles that are made in some other way.
    @inline(__always)
    func attend(
        _ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], tile makeTile: (_ keys: Range<Int>) -> SATile,
        bounds: (_ index: Int, _ lane: LaneBlock) -> (first: Int, end: Int)
    ) {
        withUnsafeTemporaryAllocation(of: SALaneBlock.self, capacity: AttentionPlan.mostLaneBlocks) { blocks in
            strip.forEachTile { keys in
                var tile = makeTile(keys)
                var count = 0
                for (index, view) in strip.views.enumerated() {
                    let lane = lanes[strip.lanes.lowerBound + index]
                    let coverage = view.coverage(of: keys)
                    if coverage == .none { continue }
                    let isMasked = coverage == .some
                    let (first, end) = scratch.laneBounds(count)
                    if isMasked { bound(keys, view, first: first, end: end) { bounds($0, lane) } }
                    blocks[count] = SALaneBlock(
                        queries: lane.queries, output: lane.output, shift: lane.shift, sum: lane.sum, first: isMasked ? first : nil,
                        end: isMasked ? end : nil)
                    count += 1
                }
                kernel.tiles.attend(&tile, blocks.baseAddress!, Int32(count), Int32(dimension), scratch.probabilities)
            }
        }
    }

    /// What is packed next is fetched while a tile is worked on.
    private func announceStored(after range: Range<Int>, of stored: StoredKeys, in tile: inout SATile) {
        guard range.upperBound < stored.count else { return }
        tile.next = (stored.keys + range.upperBound * stored.keyStride, stored.values + range.upperBound * stored.valueStride)
        tile.next_stride = (stored.keyStride, stored.valueStride)
        tile.next_rows = Int32(min(KernelTable.tileKeys, stored.count - range.upperBound))
    }

    /// Queries of the row block that the thread is likely to work on next. Where few keys are kept, waiting for them would take a tenth of
    /// the time; so they are fetched under the tiles of the window, evenly.
    func announceQueries(under keys: Range<Int>, of strip: RowBlockTiles.Strip, in tile: inout SATile) {
        let first = nextBlock.rows * keys.lowerBound / strip.keys.count, end = nextBlock.rows * keys.upperBound / strip.keys.count
        tile.next.0 = query.row(head: nextBlock.head, token: nextBlock.firstRow + first)
        tile.next_stride.0 = query.tokenStride
        tile.next_rows = Int32(min(KernelTable.tileKeys, end - first))
    }

    @inline(__always)
    private func bound(
        _ tile: Range<Int>, _ view: RowBlockTiles.View, first: UnsafeMutablePointer<UInt8>, end: UnsafeMutablePointer<UInt8>,
        _ bounds: (Int) -> (first: Int, end: Int)
    ) {
        let lanes = KernelTable.lanes
        first.update(repeating: 0, count: tile.count)
        end.update(repeating: UInt8(lanes), count: tile.count)
        let whole = view.whole.clamped(to: tile)
        for part in [tile.lowerBound..<whole.lowerBound, whole.upperBound..<tile.upperBound] {
            for index in part {
                let (from, to) = view.seen.contains(index) ? bounds(index) : (lanes, 0)
                first[index - tile.lowerBound] = UInt8(min(max(from, 0), lanes))
                end[index - tile.lowerBound] = UInt8(min(max(to, 0), lanes))
            }
        }
    }

    func packed(_ range: Range<Int>, of stored: StoredKeys, cap: Float) -> SATile {
        let count = Int32(range.count)
        let keys = stored.keys + range.lowerBound * stored.keyStride
        if stored.isPacked {
            return SATile(
                keys: keys, stride: stored.keyStride, values: stored.values + kernel.tiles.steps(range.lowerBound) * stored.valueStride,
                valueStride: stored.valueStride, count: range.count, cap: cap)
        }
        let values = stored.values + range.lowerBound * stored.valueStride
        kernel.tiles.pack_keys(keys, stored.keyStride, nil, count, Int32(dimension), scratch.tileKeys)
        kernel.tiles.pack_values(values, stored.valueStride, nil, count, Int32(dimension), scratch.tileValues)
        return SATile(
            keys: scratch.tileKeys, stride: kernel.tiles.steps(dimension), values: scratch.tileValues, valueStride: dimension,
            count: range.count, cap: cap)
    }
}
