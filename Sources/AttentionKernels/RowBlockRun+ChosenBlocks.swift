import AttentionCore
import CAttentionKernels

/// Key blocks that each lane block has chosen for itself, anywhere before it: brought together in whole tiles, so that each pass over the
/// accumulators of the output is for 128 keys and not for one block.
extension RowBlockRun {
    /// Key t of a chosen block is kept by rows from t + window on.
    func attendChosenBlocks(_ strip: RowBlockTiles.Strip, _ lanes: [LaneBlock], of tiles: RowBlockTiles) {
        let lane = strip.lanes.lowerBound
        let keys = tiles.chosenKeys(lane)
        attend(
            strip, lanes,
            tile: { range in
                var tile = chosenTile(range, of: keys)
                if range.upperBound < strip.keys.count {
                    announceChosen(range.upperBound..<strip.keys.count, lane: lane, of: tiles, in: &tile)
                } else {
                    announceChosen(lane: lane + 1, of: tiles, in: &tile)
                }
                return tile
            },
            bounds: { index, lane in (keys.key(at: index) + tiles.window - lane.firstPosition, KernelTable.lanes) })
    }

    /// The first tile of a lane block, or of the next one that has any, is fetched while another tile is worked on.
    func announceChosen(lane: Int, of tiles: RowBlockTiles, in tile: inout SATile) {
        guard let lane = (lane..<max(lane, tiles.lanes.count)).first(where: { tiles.chosenCount($0) > 0 }) else { return }
        announceChosen(0..<tiles.chosenCount(lane), lane: lane, of: tiles, in: &tile)
    }

    /// All keys and values of the block's key-value head, from key 0 on: packed where they are, else as they stand in the tensors.
    private struct ChosenSource {
        let keys, values: UnsafePointer<Float>
        let isPacked: Bool
        /// Neighbouring keys that a row to fetch ahead holds, and the elements from one such row to the next.
        let rowKeys, keyStride, valueStride: Int

        init(_ run: RowBlockRun) {
            let (kernels, dimension) = (run.kernel.tiles, run.dimension)
            if let offset = run.packed?.offset(of: 0, keyValueHead: run.keyValueHead) {
                let steps = kernels.steps(dimension)
                keys = UnsafePointer(run.workspace.packedKeys.base + offset * steps)
                values = UnsafePointer(run.workspace.packedValues.base + kernels.steps(offset) * dimension)
                isPacked = true
                rowKeys = Int(kernels.step_values)
                (keyStride, valueStride) = (rowKeys * steps, dimension)
            } else {
                keys = run.key.row(head: run.keyValueHead, token: 0)
                values = run.value.row(head: run.keyValueHead, token: 0)
                isPacked = false
                rowKeys = 1
                (keyStride, valueStride) = (run.key.tokenStride, run.value.tokenStride)
            }
        }
    }

    private func announceChosen(_ range: Range<Int>, lane: Int, of tiles: RowBlockTiles, in tile: inout SATile) {
        let (keys, source) = (tiles.chosenKeys(lane), ChosenSource(self))
        let end = min(range.upperBound, range.lowerBound + KernelTable.tileKeys)
        var rows = 0
        for place in stride(from: range.lowerBound, to: end, by: source.rowKeys) {
            scratch.nextRows[rows] = Int32(keys.key(at: place) / source.rowKeys)
            rows += 1
        }
        tile.next = (source.keys, source.values)
        tile.next_stride = (source.keyStride, source.valueStride)
        tile.next_rows = Int32(rows)
        tile.next_index = UnsafePointer(scratch.nextRows)
    }

    /// A tile of some places of the chosen keys.
    private func chosenTile(_ range: Range<Int>, of keys: ChosenKeys) -> SATile {
        let source = ChosenSource(self)
        let (kernels, dimension) = (kernel.tiles, dimension)
        let cap = AttentionKernel.scoreCap(plan.shape.scores)
        let first = keys.key(at: range.lowerBound)
        if keys.key(at: range.upperBound - 1) - first == range.count - 1 {
            let stored = storedKeys(first..<first + range.count)
            if stored.isPacked { return packed(0..<range.count, of: stored, cap: cap) }
        }
        if source.isPacked {
            copyPacked(range, of: keys, from: source)
        } else {
            pack(range, of: keys, from: source)
        }
        return SATile(
            keys: scratch.tileKeys, stride: kernels.steps(dimension), values: scratch.tileValues, valueStride: dimension,
            count: range.count, cap: cap)
    }

    /// Unit by unit where groups of values allow it, for the rows were fetched; else row by row.
    private func pack(_ range: Range<Int>, of keys: ChosenKeys, from source: ChosenSource) {
        let (kernels, d, unit) = (kernel.tiles, Int32(dimension), ChosenKeys.unitTokens)
        guard kernels.valueKeys > unit else {
            for place in stride(from: range.lowerBound, to: range.upperBound, by: unit) {
                let (key, to, count) = (keys.key(at: place), place - range.lowerBound, Int32(min(unit, range.upperBound - place)))
                kernels.pack_keys(
                    source.keys + key * source.keyStride, source.keyStride, nil, count, d,
                    scratch.tileKeys + to * kernels.steps(dimension))
                kernels.pack_values(
                    source.values + key * source.valueStride, source.valueStride, nil, count, d,
                    scratch.tileValues + kernels.steps(to) * dimension)
            }
            return
        }
        for place in range { scratch.chosenRows[place - range.lowerBound] = Int32(keys.key(at: place)) }
        kernels.pack_keys(source.keys, source.keyStride, scratch.chosenRows, Int32(range.count), d, scratch.tileKeys)
        kernels.pack_values(source.values, source.valueStride, scratch.chosenRows, Int32(range.count), d, scratch.tileValues)
    }

    /// Unit by unit. Values whose groups are longer than a unit stand in it as a piece of every dimension.
    private func copyPacked(_ range: Range<Int>, of keys: ChosenKeys, from source: ChosenSource) {
        let (kernels, dimension, unit) = (kernel.tiles, dimension, ChosenKeys.unitTokens)
        let (steps, group) = (kernels.steps(dimension), kernels.valueKeys)
        for place in stride(from: range.lowerBound, to: range.upperBound, by: unit) {
            let (key, to, count) = (keys.key(at: place), place - range.lowerBound, min(unit, range.upperBound - place))
            (scratch.tileKeys + to * steps).update(from: source.keys + key * steps, count: count * steps)
            if group <= unit {
                (scratch.tileValues + kernels.steps(to) * dimension).update(
                    from: source.values + kernels.steps(key) * dimension, count: kernels.steps(count) * dimension)
            } else {
                let from = source.values + kernels.steps(key / group * group) * dimension + kernels.steps(key % group)
                let into = scratch.tileValues + kernels.steps(to / group * group) * dimension + kernels.steps(to % group)
                for row in stride(from: 0, to: dimension * kernels.steps(group), by: kernels.steps(group)) {
                    (into + row).update(from: from + row, count: kernels.steps(unit))
                }
            }
        }
    }
}
