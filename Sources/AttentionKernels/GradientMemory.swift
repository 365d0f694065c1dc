import AttentionCore
import CAttentionKernels
import Parallelism

/// A backward pass's part of a workspace, for some key-value heads at a time.
struct GradientMemory: @unchecked Sendable {
    private let keyLayout: GradientKeys.Layout
    private let scratchLayout: GradientScratch.Layout
    private let shape: AttentionShape
    /// Floats of one query head's sums.
    private let sumFloats: Int
    /// [slot][elements of keys], [slot][query head of the group][floats of sums], [worker][floats of scratch].
    private let packed, sums, scratch: UnsafeMutablePointer<Float>
    /// Key-value heads there is room for, a slot each.
    let heads: Int

    /// - Parameters:
    ///   - sumKeys: keys that the pieces of one query head see, each piece's counted.
    ///   - heldBytes: memory that may be used for more than one key-value head.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(
        _ shape: AttentionShape, sumKeys: Int, heldBytes: Int, kernel: AttentionKernel, workspace: AttentionWorkspace
    ) throws(InputError) {
        self.shape = shape
        keyLayout = GradientKeys.Layout(shape: shape, kernels: kernel.tiles)
        scratchLayout = GradientScratch.Layout(dimension: shape.headDimension, kernels: kernel.tiles)
        sumFloats = 2 * sumKeys * shape.headDimension
        let own = keyLayout.elements + shape.groupSize * sumFloats
        heads = max(1, min(shape.keyValueHeads, heldBytes / (own * MemoryLayout<Float>.stride)))
        try workspace.prepareGradients(count: heads * own + kernel.pool.threads * scratchLayout.floats)
        packed = workspace.gradients.base
        sums = packed + heads * keyLayout.elements
        scratch = packed + heads * own
    }

    func keys(slot: Int) -> GradientKeys { GradientKeys(layout: keyLayout, elements: packed + slot * keyLayout.elements) }

    func scratch(worker: Int) -> GradientScratch {
        GradientScratch(layout: scratchLayout, floats: scratch + worker * scratchLayout.floats)
    }

    /// What a piece of one of the slot's query heads adds to.
    func sums(slot: Int, queryHead: Int, _ piece: GradientPiece) -> GradientSums {
        let first = sums + (slot * shape.groupSize + queryHead) * sumFloats + 2 * piece.offset * shape.headDimension
        let count = piece.keys.count * shape.headDimension
        return GradientSums(firstKey: piece.keys.lowerBound, count: count, key: first, value: first + count)
    }
}

/// Where a piece of rows adds its gradients of keys (before the scale 1/√d) and of values, [key][d] each from a first key on.
struct GradientSums {
    let firstKey: Int
    /// Floats of each.
    let count: Int
    let key, value: UnsafeMutablePointer<Float>

    func clear() {
        key.update(repeating: 0, count: count)
        value.update(repeating: 0, count: count)
    }
}

/// Keys and values of one key-value head in the forms that the backward pass multiplies, packed once for all rows.
struct GradientKeys {
    struct Layout: Sendable {
        let dimension: Int
        let tiles: Int
        /// Elements of a row of d numbers, and of a tile's keys.
        let rowSteps, transposedSteps: Int

        init(shape: AttentionShape, kernels: SATileKernelTable) {
            dimension = shape.headDimension
            tiles = GradientKeys.tiles(of: shape)
            rowSteps = kernels.steps(dimension)
            transposedSteps = kernels.steps(KernelTable.tileKeys)
        }

        /// Elements of a head's keys or values: [key][step of d].
        var rowElements: Int { tiles * KernelTable.tileKeys * rowSteps }
        /// The same transposed tile by tile: [tile][d][step of the tile's keys].
        var tileElements: Int { dimension * transposedSteps }
        var elements: Int { 2 * rowElements + tiles * tileElements }
    }

    let layout: Layout
    let elements: UnsafeMutablePointer<Float>

    static func tiles(of shape: AttentionShape) -> Int { (shape.keyCount + KernelTable.tileKeys - 1) / KernelTable.tileKeys }

    /// [key][step of d] each.
    var keys: UnsafeMutablePointer<Float> { elements }
    var values: UnsafeMutablePointer<Float> { elements + layout.rowElements }

    /// [d][step of keys] from a key on, to the end of its tile; a row of keys is `transposedSteps` long. The key begins a step.
    func transposed(from key: Int) -> UnsafeMutablePointer<Float> {
        let tile = KernelTable.tileKeys
        let within = key % tile * layout.transposedSteps / tile
        return elements + 2 * layout.rowElements + key / tile * layout.tileElements + within
    }

    /// Packs one tile of keys and values. What follows a head's last key is zero in the transposed form, whose steps it may be half of.
    func pack(tile: Int, head: Int, _ tensors: GradientTensors, kernel: AttentionKernel, scratch: GradientScratch) {
        let kernels = kernel.tiles
        let first = tile * KernelTable.tileKeys
        let count = min(KernelTable.tileKeys, tensors.shape.keyCount - first)
        let (key, value) = (tensors.key, tensors.value)
        kernels.pack_keys(
            key.row(head: head, token: first), key.tokenStride, nil, Int32(count), Int32(layout.dimension), keys + first * layout.rowSteps)
        kernels.pack_keys(
            value.row(head: head, token: first), value.tokenStride, nil, Int32(count), Int32(layout.dimension),
            values + first * layout.rowSteps)
        let half = KernelTable.lanes
        for start in stride(from: 0, to: KernelTable.tileKeys, by: half) {
            let rows = min(half, max(0, count - start))
            let source = key.row(head: head, token: min(first + start, tensors.shape.keyCount - 1))
            kernel.functions.fp32.pack_queries(source, key.tokenStride, Int32(rows), Int32(layout.dimension), 1, scratch.transposed)
            for t in 0..<layout.dimension {
                kernels.pack_keys(
                    scratch.transposed + t * half, half, nil, 1, Int32(half),
                    transposed(from: first + start) + t * layout.transposedSteps)
            }
        }
    }
}

/// One worker's memory in the backward pass, cut into the arrays that a block of rows needs. Elements are those of `CAttentionKernels.h`.
struct GradientScratch {
    struct Layout: Sendable {
        /// Lane blocks of a block of rows.
        static let laneBlocks = 2

        let dimension: Int
        /// Elements of a row of d numbers, of all lanes, and of a tile's keys.
        let rowSteps, laneSteps, keySteps: Int

        init(dimension: Int, kernels: SATileKernelTable) {
            self.dimension = dimension
            rowSteps = kernels.steps(dimension)
            laneSteps = kernels.steps(Self.laneBlocks * KernelTable.lanes)
            keySteps = kernels.steps(KernelTable.tileKeys)
        }

        fileprivate var laneRows: Int { Self.laneBlocks * rowSteps * KernelTable.lanes }
        fileprivate var weights: Int { (dimension + KernelTable.lanes - 1) / KernelTable.lanes * laneSteps * KernelTable.lanes }
        fileprivate var scores: Int { KernelTable.tileKeys * KernelTable.lanes }
        fileprivate var probabilities: Int { KernelTable.tileKeys * laneSteps }
        fileprivate var scoreWeights: Int { keySteps * KernelTable.lanes }
        fileprivate var transposed: Int { dimension * KernelTable.lanes }
        /// Floats that two arrays of bytes fill.
        fileprivate var laneBounds: Int { 2 * KernelTable.tileKeys / MemoryLayout<Float>.stride }
        fileprivate var facts: Int { Self.laneBlocks * KernelTable.lanes }

        var floats: Int {
            let products = 2 * laneRows + 2 * weights + 2 * scores + 2 * probabilities + scoreWeights
            return products + (Self.laneBlocks + 1) * transposed + 2 * facts + KernelTable.lanes + laneBounds
        }
    }

    private let layout: Layout
    private let queryLanes, outputGradientLanes: UnsafeMutablePointer<Float>
    /// [d / 64][step of lanes][64] each: rows as weights.
    let queryWeights, outputGradientWeights: UnsafeMutablePointer<Float>
    /// [key][lane] of one lane block each, floats.
    let scores, probabilityGradients: UnsafeMutablePointer<Float>
    /// [key][step of lanes] each.
    let probabilities, scoreGradients: UnsafeMutablePointer<Float>
    /// [step of keys][lane] of one lane block.
    let scoreGradientWeights: UnsafeMutablePointer<Float>
    private let queryGradients: UnsafeMutablePointer<Float>
    /// [d][lane], floats.
    let transposed: UnsafeMutablePointer<Float>
    private let allLogSums, allDots: UnsafeMutablePointer<Float>
    /// [lane], each √d: what finished gradients of queries are divided by.
    let roots: UnsafeMutablePointer<Float>
    /// [key of tile] each: a key is kept by lanes `first ..< end`.
    let firstLane, endLane: UnsafeMutablePointer<UInt8>

    init(layout: Layout, floats: UnsafeMutablePointer<Float>) {
        self.layout = layout
        var next = floats
        func take(_ count: Int) -> UnsafeMutablePointer<Float> {
            defer { next += count }
            return next
        }
        queryLanes = take(layout.laneRows)
        outputGradientLanes = take(layout.laneRows)
        queryWeights = take(layout.weights)
        outputGradientWeights = take(layout.weights)
        scores = take(layout.scores)
        probabilityGradients = take(layout.scores)
        probabilities = take(layout.probabilities)
        scoreGradients = take(layout.probabilities)
        scoreGradientWeights = take(layout.scoreWeights)
        queryGradients = take(Layout.laneBlocks * layout.transposed)
        transposed = take(layout.transposed)
        allLogSums = take(layout.facts)
        allDots = take(layout.facts)
        roots = take(KernelTable.lanes)
        roots.update(repeating: Float(Double(layout.dimension).squareRoot()), count: KernelTable.lanes)
        firstLane = UnsafeMutableRawPointer(take(layout.laneBounds)).bindMemory(to: UInt8.self, capacity: 2 * KernelTable.tileKeys)
        endLane = firstLane + KernelTable.tileKeys
    }

    /// [step of d][lane] of a lane block, scaled to base-2 scores.
    func queries(_ index: Int) -> UnsafeMutablePointer<Float> { queryLanes + index * layout.rowSteps * KernelTable.lanes }
    /// [step of d][lane] of a lane block.
    func outputGradients(_ index: Int) -> UnsafeMutablePointer<Float> { outputGradientLanes + index * layout.rowSteps * KernelTable.lanes }
    /// [d][lane] of a lane block, before the scale 1/√d.
    func queryGradient(_ index: Int) -> UnsafeMutablePointer<Float> { queryGradients + index * layout.transposed }
    /// [lane] of a lane block each.
    func logSums(_ index: Int) -> UnsafeMutablePointer<Float> { allLogSums + index * KernelTable.lanes }
    func dots(_ index: Int) -> UnsafeMutablePointer<Float> { allDots + index * KernelTable.lanes }
}
