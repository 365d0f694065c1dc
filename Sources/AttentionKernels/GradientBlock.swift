import AttentionCore
import CAttentionKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A block of query rows of one head in the backward pass: its part of every gradient, tile after tile of the keys that it sees.
///
/// Every product is `multiply` of `CAttentionKernels`, rows times packed weights. Both hold the axis that is summed over in steps, so a block
/// keeps queries and gradients of outputs in two forms, [step of d][lane] and [step of lanes][d], and a tile of keys in two as well:
/// [key][step of d] and [d][step of keys].
struct GradientBlock {
    let kernel: AttentionKernel
    let tensors: GradientTensors
    /// Query head.
    let head: Int
    /// One or two lane blocks: over two, sums over rows are loaded and stored half as often.
    let rows: Range<Int>
    let keys: GradientKeys
    let scratch: GradientScratch
    let sums: GradientSums

    /// Rows of a block.
    private static let mostRows = GradientScratch.Layout.laneBlocks * KernelTable.lanes

    /// Blocks that some rows are worked on in.
    static func blocks(of rows: Range<Int>) -> [Range<Int>] { split(rows, mostRows) }

    private static func split(_ rows: Range<Int>, _ size: Int) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: size).map { $0..<min($0 + size, rows.upperBound) }
    }

    private var tiles: SATileKernelTable { kernel.tiles }
    private var dimension: Int { tensors.shape.headDimension }
    /// Lanes of all lane blocks, those without a row included.
    private var lanes: Int { (rows.count + KernelTable.lanes - 1) / KernelTable.lanes * KernelTable.lanes }

    func run() {
        let laneBlocks = Self.split(rows, KernelTable.lanes)
        for (index, own) in laneBlocks.enumerated() { pack(own, index: index) }
        let positions = laneBlocks.map(tensors.positions)
        let seen = tensors.keys(seenFrom: tensors.positions(rows))
        let tile = KernelTable.tileKeys
        for start in stride(from: seen.lowerBound / tile * tile, to: seen.upperBound, by: tile) {
            addTile(seen.clamped(to: start..<start + tile), positions)
        }
        for (index, own) in laneBlocks.enumerated() {
            let target = tensors.queryGradient.row(head: head, token: own.lowerBound)
            kernel.functions.finish_output(
                scratch.queryGradient(index), scratch.roots, Int32(own.count), Int32(dimension), target,
                tensors.queryGradient.readOnly.tokenStride, 0)
        }
    }

    // MARK: Rows

    /// Lanes without a row hold zeros in both forms, so that nothing comes of their probabilities.
    private func pack(_ own: Range<Int>, index: Int) {
        let query = tensors.query.row(head: head, token: own.lowerBound)
        let gradient = tensors.outputGradient.row(head: head, token: own.lowerBound)
        let (count, d) = (Int32(own.count), Int32(dimension))
        let scale = AttentionKernel.scoreScale(dimension)
        tiles.pack_queries(query, tensors.query.tokenStride, count, d, scale, scratch.queries(index))
        tiles.pack_queries(gradient, tensors.outputGradient.tokenStride, count, d, 1, scratch.outputGradients(index))
        packAcross(query, tensors.query.tokenStride, count, index: index, into: scratch.queryWeights)
        packAcross(gradient, tensors.outputGradient.tokenStride, count, index: index, into: scratch.outputGradientWeights)
        scratch.queryGradient(index).update(repeating: 0, count: dimension * KernelTable.lanes)
        softmaxFacts(own, index: index)
    }

    /// Rows as weights whose outputs are dimensions: [d / 64][step of all lanes][64], of which these rows are some steps.
    private func packAcross(
        _ source: UnsafePointer<Float>, _ stride: Int, _ count: Int32, index: Int, into target: UnsafeMutablePointer<Float>
    ) {
        let size = KernelTable.lanes
        kernel.functions.fp32.pack_queries(source, stride, count, Int32(dimension), 1, scratch.transposed)
        for first in Swift.stride(from: 0, to: dimension, by: size) {
            tiles.pack_weights(
                scratch.transposed + first * size, Int32(min(size, dimension - first)), Int32(size),
                target + (first / size * tiles.steps(lanes) + index * tiles.steps(size)) * size)
        }
    }

    /// Each row's log-sum-exp with its head's sink, in base 2, and the product of its output with the output's gradient.
    private func softmaxFacts(_ own: Range<Int>, index: Int) {
        let logSums = scratch.logSums(index), dots = scratch.dots(index)
        logSums.update(repeating: 0, count: KernelTable.lanes)
        dots.update(repeating: 0, count: KernelTable.lanes)
        let sink = AttentionKernel.sink(tensors.shape.scores, head: head)
        let kernels = kernel.table.rows(.fp32)
        for (lane, row) in own.enumerated() {
            let logSum = 1.442695 * tensors.logSumExp.base[head * tensors.shape.queryCount + row]
            logSums[lane] = sink.map { Self.logSum(logSum, $0) } ?? logSum
            var output = tensors.output.kernelRows(head: head, row..<row + 1)
            var highest = -Float.infinity
            kernels.row_scores(
                tensors.outputGradient.row(head: head, token: row), dimension, 1, 1, &output, Int32(dimension), dots + lane, 1, &highest)
        }
    }

    /// log₂(2^a + 2^b). What is not a number stays so.
    private static func logSum(_ a: Float, _ b: Float) -> Float {
        let highest = a < b ? b : a, lowest = a < b ? a : b
        return highest + log2f(1 + exp2f(lowest - highest))
    }

    // MARK: Tiles

    /// All products with a part of one tile of the keys.
    private func addTile(_ tile: Range<Int>, _ positions: [Range<Int>]) {
        let (size, steps) = (KernelTable.lanes, tiles.steps(dimension))
        let d = Int32(dimension), cap = AttentionKernel.scoreCap(tensors.shape.scores)
        for (index, own) in positions.enumerated() {
            // Of the scores of keys that this lane block does not see, which are masked, none is computed.
            let seen = tensors.keys(seenFrom: own).clamped(to: tile)
            let offset = seen.lowerBound - tile.lowerBound, count = Int32(seen.count)
            if !seen.isEmpty {
                tiles.multiply(
                    keys.keys + seen.lowerBound * steps, steps, count, scratch.queries(index), d, Int32(size),
                    scratch.scores + offset * size, size, 0)
                tiles.multiply(
                    keys.values + seen.lowerBound * steps, steps, count, scratch.outputGradients(index), d, Int32(size),
                    scratch.probabilityGradients + offset * size, size, 0)
            }
            let isMasked = bound(tile, own)
            tiles.score_gradients(
                scratch.scores, scratch.probabilityGradients, Int32(tile.count), scratch.logSums(index), scratch.dots(index),
                isMasked ? scratch.firstLane : nil, isMasked ? scratch.endLane : nil, cap,
                scratch.probabilities + index * tiles.steps(size), scratch.scoreGradients + index * tiles.steps(size), tiles.steps(lanes),
                scratch.scoreGradientWeights)
            if !seen.isEmpty {
                tiles.multiply(
                    keys.transposed(from: seen.lowerBound), keys.layout.transposedSteps, d,
                    scratch.scoreGradientWeights + tiles.steps(offset) * size, count, Int32(size), scratch.queryGradient(index), size, 1)
            }
        }
        let offset = (tile.lowerBound - sums.firstKey) * dimension, stride = tiles.steps(lanes)
        tiles.multiply(
            scratch.probabilities, stride, Int32(tile.count), scratch.outputGradientWeights, Int32(lanes), d, sums.value + offset,
            dimension, 1)
        tiles.multiply(
            scratch.scoreGradients, stride, Int32(tile.count), scratch.queryWeights, Int32(lanes), d, sums.key + offset, dimension, 1)
    }

    /// Key t is kept by the rows at positions t ..< t + window. False when all rows keep all keys of the tile.
    private func bound(_ tile: Range<Int>, _ positions: Range<Int>) -> Bool {
        let window = tensors.window, lanes = KernelTable.lanes
        if tile.upperBound - 1 <= positions.lowerBound && tile.lowerBound + window >= positions.upperBound { return false }
        for (index, key) in tile.enumerated() {
            scratch.firstLane[index] = UInt8(min(max(key - positions.lowerBound, 0), lanes))
            scratch.endLane[index] = UInt8(min(max(key + window - positions.lowerBound, 0), lanes))
        }
        return true
    }
}
