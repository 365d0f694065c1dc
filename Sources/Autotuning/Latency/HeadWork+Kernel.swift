import AttentionCore
import AttentionKernels

extension HeadWork {
    /// The kernel's part: all row blocks of a head, and the columns gathered for them.
    mutating func addKernel(_ parts: PatternParts, shape: AttentionShape) {
        let blocks = AttentionPlan.rowBlocks(
            head: 0, parts: parts, shape: shape, laneBlocks: AttentionPlan.laneBlocks(queryCount: shape.queryCount))
        var count = TileCount()
        for block in blocks { count.add(RowBlockTiles(parts: parts, block: block, shape: shape)) }
        self[.laneBlocks] += Double(count.laneBlocks)
        self[.loadedKeys] += Double(count.loadedKeys)
        self[.tiles] += Double(count.tiles)
        self[.maskedTiles] += Double(count.maskedTiles)
        self[.densePairs] += Double(count.densePairs)
        self[.windowPairs] += Double(count.windowPairs)
        self[.columnPairs] += Double(count.columnPairs)
        self[.blockPairs] += Double(count.blockPairs)
        if blocks.contains(where: { !$0.isDense }) { self[.gatheredColumns] += Double(parts.columns.count) }
    }
}

/// The rows of one row block, by lane block, and how far they see.
private struct RowBlockTiles {
    let parts: PatternParts
    let isDense: Bool
    let window: Int
    /// Positions of the rows of each lane block.
    let laneBlocks: [Range<Int>]

    init(parts: PatternParts, block: AttentionPlan.RowBlock, shape: AttentionShape) {
        self.parts = parts
        isDense = block.isDense
        window = block.isDense ? shape.keyCount : parts.window
        let first = shape.firstPosition + block.firstRow
        let (lanes, end) = (SampledScores.lanesPerBlock, first + block.rows)
        laneBlocks = stride(from: first, to: end, by: lanes).map { $0..<min($0 + lanes, end) }
    }

    /// The kept key blocks as key ranges, neighbours joined.
    var keyRuns: [Range<Int>] {
        let size = BlockMask.blockSize
        return parts.keyBlocks(queryBlock: laneBlocks[0].lowerBound / size).map(Int.init).reduce(into: []) { runs, block in
            if let last = runs.last, last.upperBound == block * size {
                runs[runs.count - 1] = last.lowerBound..<(block + 1) * size
            } else {
                runs.append(block * size..<(block + 1) * size)
            }
        }
    }
}

/// Goes over tiles as `RowBlockRun` does, and counts them.
private struct TileCount {
    private(set) var laneBlocks = 0, loadedKeys = 0, tiles = 0, maskedTiles = 0
    private(set) var densePairs = 0, windowPairs = 0, columnPairs = 0, blockPairs = 0

    mutating func add(_ block: RowBlockTiles) {
        laneBlocks += block.laneBlocks.count
        addWindow(block)
        guard !block.isDense else { return }
        if !block.parts.columns.isEmpty { addColumns(block) }
        if block.parts.hasBlocks { addKeyBlocks(block) }
    }

    /// The rows' own keys are a masked tile of each lane block; the keys before them a strip that all lane blocks share.
    private mutating func addWindow(_ block: RowBlockTiles) {
        let window = block.window
        let start = max(0, block.laneBlocks[0].lowerBound - window + 1)
        let strip = block.laneBlocks.last!.lowerBound - start
        // With key blocks all rows see all of their own keys, whatever the window: the diagonal block is kept.
        let seesOwnKeys = block.parts.hasBlocks && !block.isDense
        loadedKeys += strip
        for lane in block.laneBlocks {
            loadedKeys += lane.count
            tiles += 1
            maskedTiles += 1
            let first = max(0, lane.lowerBound - window + 1)
            let whole = max(first, min(lane.lowerBound, lane.upperBound - window))
            addTiles(strip: strip, seen: first - start..<lane.lowerBound - start, whole: whole - start..<lane.lowerBound - start)
            let pairs = Self.pairs(lane) { vector in
                let first = vector.lowerBound - window + 1
                return vector.upperBound - max(0, seesOwnKeys ? min(first, lane.lowerBound) : first)
            }
            if block.isDense { densePairs += pairs } else { windowPairs += pairs }
        }
    }

    private mutating func addColumns(_ block: RowBlockTiles) {
        let columns = block.parts.columns
        func seen(_ rows: Range<Int>) -> Int { columns.count(below: rows.upperBound - block.window) }
        let strip = block.laneBlocks.map(seen).max() ?? 0
        guard strip > 0 else { return }
        for lane in block.laneBlocks {
            let whole = block.parts.hasBlocks ? 0 : columns.count(below: lane.lowerBound - block.window + 1)
            addTiles(strip: strip, seen: 0..<seen(lane), whole: 0..<whole)
            columnPairs += Self.pairs(lane, keys: seen)
        }
    }

    /// Keys of kept blocks before the lanes' own, without what the window holds.
    private mutating func addKeyBlocks(_ block: RowBlockTiles) {
        for run in block.keyRuns {
            func seen(_ rows: Range<Int>, of lane: Range<Int>) -> Int {
                max(0, min(run.upperBound, lane.lowerBound, rows.upperBound - block.window) - run.lowerBound)
            }
            let strip = block.laneBlocks.map { seen($0, of: $0) }.max() ?? 0
            guard strip > 0 else { continue }
            loadedKeys += strip
            for lane in block.laneBlocks {
                let all = seen(lane, of: lane)
                let whole = max(0, min(run.lowerBound + all, lane.lowerBound - block.window + 1) - run.lowerBound)
                addTiles(strip: strip, seen: 0..<all, whole: 0..<whole)
                blockPairs += Self.pairs(lane) { seen($0, of: lane) }
            }
        }
    }

    /// Tiles of a strip of `strip` keys that a lane block sees anything of; masked are those that do not lie in `whole`.
    private mutating func addTiles(strip: Int, seen: Range<Int>, whole: Range<Int>) {
        guard !seen.isEmpty else { return }
        let size = BlockMask.blockSize
        let touched = (seen.upperBound - 1) / size - seen.lowerBound / size + 1
        let firstWhole = (whole.lowerBound + size - 1) / size
        let endWhole = whole.upperBound >= strip ? (strip + size - 1) / size : whole.upperBound / size
        tiles += touched
        maskedTiles += whole.isEmpty ? touched : touched - max(0, endWhole - firstWhole)
    }

    /// Each vector of lanes with as many keys as any of its rows sees.
    private static func pairs(_ lane: Range<Int>, keys: (_ rows: Range<Int>) -> Int) -> Int {
        let size = HeadWork.vectorLanes
        return stride(from: lane.lowerBound, to: lane.upperBound, by: size).reduce(0) {
            $0 + size * keys($1..<min($1 + size, lane.upperBound))
        }
    }
}
