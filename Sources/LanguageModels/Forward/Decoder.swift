import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention
import Synchronization

/// The forward pass of any decoder that a `DecoderDescription` describes. Matrix products take operands in the kernel's precision;
/// everything else is FP32.
///
/// Everything but attention works on tiles of rows spread over the pool, so memory beside the cache is
/// O(tokens · (hidden + 2 · heads · d)) plus a few tiles.
/// Source: the transformer decoder (arXiv 1706.03762) as LLaMA has it (arXiv 2302.13971); grouped queries (arXiv 2305.13245).
struct Decoder: Sendable {
    let description: DecoderDescription
    let weights: DecoderWeights
    let kernel: AttentionKernel
    let rowKernels: RowKernels
    /// Of each layer.
    let rotary: [RotaryTable?]
    let scoreRules: [ScoreRule]

    var pool: WorkerPool { kernel.pool }
    static let tileRows = PackedMatrix.tileRows

    init(description: DecoderDescription, weights: DecoderWeights, kernel: AttentionKernel) {
        self.description = description
        self.weights = weights
        self.kernel = kernel
        rowKernels = kernel.rowKernels
        // Layers with the same embedding share its table.
        let kinds = Set(description.layers.compactMap(\.attention.rotary))
        let tables = Dictionary(uniqueKeysWithValues: kinds.map { ($0, RotaryTable($0)) })
        rotary = description.layers.map { $0.attention.rotary.flatMap { tables[$0] } }
        scoreRules = zip(description.layers, weights.layers).map {
            ScoreRule(softCap: $0.attention.softCap, sinks: $1.sinks)
        }
    }

    /// Attends in one layer: from the queries to the output, over the cache's rows and as many new ones as there are queries, which are
    /// stored already.
    typealias Attend<Observer: ForwardObserver> = (
        _ layer: Int, _ query: HeadTensor, _ output: MutableHeadTensor, _ observer: inout Observer
    ) throws -> Void

    /// Appends `tokens` to the cache and leaves their final, normed hidden states in `hidden` [tokens][hidden].
    ///
    /// - Parameters:
    ///   - promptLength: of the whole sequence as far as it is known, which some rotary embeddings depend on.
    ///   - buffers: for at least as many tokens.
    ///   - firstLayer: above 0, `hidden` must hold the residual stream before that layer, and the cache fills from that layer on only.
    func forward<Observer: ForwardObserver>(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, promptLength: Int, buffers: ForwardBuffers,
        hidden: UnsafeMutablePointer<Float>, from firstLayer: Int = 0, observer: inout Observer, attend: Attend<Observer>
    ) throws {
        let d = description
        let count = tokens.count
        precondition(count <= buffers.tokens, "the buffers hold as many tokens")
        let query = HeadTensor(projection: buffers.queries.base, heads: d.queryHeads, tokens: count, dimension: d.headDimension)
        let output = MutableHeadTensor(
            projection: buffers.attended.base, heads: d.queryHeads, tokens: count, dimension: d.headDimension)
        if firstLayer == 0 { try embed(tokens, into: hidden) }
        let rotary = embeddings(positions: cache.position..<cache.position + count, cache: cache, promptLength: promptLength)
        for layer in firstLayer..<d.layerCount {
            try observer.reached(depth: layer, hidden: UnsafeBufferPointer(start: hidden, count: count * d.hiddenSize))
            project(
                layer, count: count, hidden: hidden, buffers: buffers, cache: cache,
                rotary: self.rotary[layer].flatMap { rotary[ObjectIdentifier($0)] })
            try attend(layer, query, output, &observer)
            addBranches(layer, count: count, hidden: hidden, buffers: buffers)
        }
        cache.count += count
        cache.position += count
        try observer.passedLayers(hidden: UnsafeBufferPointer(start: hidden, count: count * d.hiddenSize))
        normalize(count: count, hidden: hidden)
        try observer.reached(depth: d.layerCount, hidden: UnsafeBufferPointer(start: hidden, count: count * d.hiddenSize))
    }

    /// The embeddings of some positions, by table.
    ///
    /// LongRoPE's factors follow the length that the cache's first prefill had, so that all keys in a cache are turned alike; a dynamic
    /// base follows the length so far.
    func embeddings(
        positions: Range<Int>, cache: KeyValueCache, promptLength: Int
    ) -> [ObjectIdentifier: RotaryEmbedding] {
        let length = max(promptLength, positions.upperBound)
        if cache.position == 0 { (cache.firstLength, cache.longestLength) = (length, length) }
        cache.longestLength = max(cache.longestLength, length)
        var embeddings: [ObjectIdentifier: RotaryEmbedding] = [:]
        for case let table? in rotary where embeddings[ObjectIdentifier(table)] == nil {
            var own = length
            if case .longrope = table.description.scaling { own = cache.firstLength }
            embeddings[ObjectIdentifier(table)] = table.embedding(positions: positions, length: own, pool: pool)
        }
        return embeddings
    }

    /// What a prefill's forward pass did.
    struct Pass {
        /// Of the layers that attend as the policy says, in their order.
        var layers: [AttentionReport] = []
        /// In the attention of layers with a window of their own.
        var windowSeconds = 0.0
        /// In the matrix products outside attention.
        var productSeconds = 0.0
    }

    /// A forward pass in which each layer attends as a policy says, but those with a window of their own, which keep to it.
    ///
    /// - Parameters:
    ///   - floats: of this cache, with room for the new rows too.
    ///   - buffers: for at least as many tokens; nil makes some for this pass.
    func prefill(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, promptLength: Int, policy: AttentionPolicy, workspace: AttentionWorkspace,
        floats: FloatLayer, buffers: ForwardBuffers? = nil, hidden: UnsafeMutablePointer<Float>, from firstLayer: Int = 0,
        observer: inout some ForwardObserver
    ) throws -> Pass {
        let buffers = try buffers ?? ForwardBuffers(description, tokens: tokens.count, kernel: kernel)
        var pass = Pass()
        let sums = try AlignedBuffer<Float>(
            extents: observer.readsLogSumExp ? description.queryHeads : 0, tokens.count, of: "log-sum-exp of \(tokens.count) rows")
        let logSumExp = observer.readsLogSumExp ? SharedPointer(sums.base) : nil
        try forward(
            tokens, cache: cache, promptLength: promptLength, buffers: buffers, hidden: hidden, from: firstLayer, observer: &observer
        ) { layer, query, output, observer in
            let (keys, values) = floats.keysAndValues(layer: layer, rows: cache.count + query.tokens, kernel: kernel)
            let inputs = LayerInputs(query: query, key: keys, value: values, scores: scoreRules[layer])
            if let window = description.layers[layer].attention.window {
                let start = ContinuousClock.now
                let pattern = SparsePattern.windowColumns(WindowColumns(window: min(window, inputs.shape.keyCount), columns: []))
                kernel.run(
                    try AttentionPlan(shape: inputs.shape, patterns: Array(repeating: pattern, count: inputs.shape.queryHeads)),
                    query: query, key: keys, value: values, output: output, workspace: workspace)
                pass.windowSeconds += (ContinuousClock.now - start).seconds
                return
            }
            let call = LayerCall(inputs: inputs, layer: layer, promptLength: promptLength, kernel: kernel)
            pass.layers.append(try policy.attend(call, output: output, logSumExp: logSumExp?.base, workspace: workspace))
            try observer.attended(LayerAttention(layer: layer, inputs: inputs, output: output.readOnly, sums: logSumExp))
        }
        pass.productSeconds = buffers.meanProductSeconds
        return pass
    }

    // MARK: Rows

    private func embed(_ tokens: ArraySlice<Int32>, into hidden: UnsafeMutablePointer<Float>) throws(InputError) {
        let size = description.hiddenSize
        let scale = Float(description.embeddingScale)
        let target = SharedPointer(hidden)
        let failure = Mutex<InputError?>(nil)
        forEachTile(tokens.count) { _, row, rows in
            for index in row..<row + rows {
                do throws(InputError) {
                    try weights.readEmbedding(tokens[tokens.startIndex + index], into: target.base + index * size)
                } catch {
                    failure.withLock { $0 = $0 ?? error }
                }
                if scale != 1 { for at in index * size..<(index + 1) * size { target.base[at] *= scale } }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Tiles of rows, as large as products like them and as many as give every worker the same number.
    func forEachTile(_ count: Int, _ body: @Sendable (_ worker: Int, _ firstRow: Int, _ rows: Int) -> Void) {
        let tile = Self.tileRows(of: count, threads: pool.threads)
        pool.run((count + tile - 1) / tile) { worker, index in
            let first = index * tile
            body(worker, first, min(tile, count - first))
        }
    }

    /// Rows of a tile when `count` rows are shared out: at most `tileRows`, in steps of a third of it.
    static func tileRows(of count: Int, threads: Int) -> Int {
        // One tile's products are shared by all workers.
        guard count > tileRows else { return max(1, count) }
        let rounds = (count + tileRows * threads - 1) / (tileRows * threads)
        let even = (count + rounds * threads - 1) / (rounds * threads)
        let step = tileRows / 3
        return (even + step - 1) / step * step
    }

    /// The norm of some rows; `output` may be `input`. A copy where there is no norm.
    func norm(_ weight: WeightVector?, _ input: UnsafePointer<Float>, rows count: Int, into output: UnsafeMutablePointer<Float>) {
        let size = description.hiddenSize
        guard let weight else { return output.update(from: input, count: count * size) }
        for row in 0..<count { norm(input + row * size, weight: weight.base, count: size, into: output + row * size) }
    }

    /// The norm of one vector.
    func norm(_ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, count: Int, into output: UnsafeMutablePointer<Float>) {
        let epsilon = Float(description.norm.epsilon)
        if description.norm.removesMean {
            var sum: Float = 0
            for i in 0..<count { sum += x[i] }
            let mean = sum / Float(count)
            for i in 0..<count { output[i] = x[i] - mean }
            rowKernels.rootMeanSquareNorm(output, weight: weight, epsilon: epsilon, count: count, into: output)
        } else {
            rowKernels.rootMeanSquareNorm(x, weight: weight, epsilon: epsilon, count: count, into: output)
        }
    }

    private func normalize(count: Int, hidden: UnsafeMutablePointer<Float>) {
        let stream = SharedPointer(hidden)
        forEachTile(count) { _, row, rows in
            let start = stream.base + row * description.hiddenSize
            norm(weights.finalNorm, start, rows: rows, into: start)
        }
    }

    /// Y = X Wᵀ + b of a tile's rows.
    func multiply(
        _ tile: ForwardTile, _ input: PackedRows, _ projection: DecoderWeights.Projection, into output: UnsafeMutablePointer<Float>
    ) {
        tile.multiply(input, projection.matrix, into: output)
        guard let bias = projection.bias?.base else { return }
        let outputs = projection.outputs
        for row in 0..<input.rows {
            let target = output + row * outputs
            for index in 0..<outputs { target[index] += bias[index] }
        }
    }

    // MARK: Scores of tokens

    /// Room in which the logits' rows are packed, one part a worker.
    func makeLogitBuffers() -> AlignedBuffer<Float> {
        AlignedBuffer(count: kernel.packedElements(rows: Self.tileRows, inputs: description.hiddenSize) * pool.threads)
    }

    /// Next-token scores of rows of `hidden`: [rows][vocabulary].
    func logits(
        hidden: UnsafePointer<Float>, rows count: Int, into logits: UnsafeMutablePointer<Float>, rooms: borrowing AlignedBuffer<Float>
    ) {
        let target = SharedPointer(logits)
        let source = SharedPointer(UnsafeMutablePointer(mutating: hidden))
        let size = description.hiddenSize
        let vocabulary = description.vocabularySize
        let roomElements = kernel.packedElements(rows: Self.tileRows, inputs: size)
        let room = SharedPointer(rooms.base)
        // Few rows: split the vocabulary, so that one position's logits use every thread too.
        let rowTiles = (count + Self.tileRows - 1) / Self.tileRows
        let block = PackedMatrix.blockOutputs
        let columns = max(4 * block, (vocabulary * rowTiles / (4 * pool.threads) + block - 1) / block * block)
        let columnTiles = (vocabulary + columns - 1) / columns
        pool.run(rowTiles * columnTiles) { worker, index in
            let row = index / columnTiles * Self.tileRows
            let column = index % columnTiles * columns
            let rows = min(Self.tileRows, count - row)
            let outputs = column..<min(column + columns, vocabulary)
            let input = kernel.packed(source.base + row * size, rows: rows, inputs: size, room: room.base + worker * roomElements)
            let first = target.base + row * vocabulary + column
            kernel.multiply(input, weights.head, outputs: outputs, into: first, stride: vocabulary)
            for row in 0..<rows { finish(first + row * vocabulary, count: outputs.count) }
        }
    }

    /// Scales and caps scores.
    private func finish(_ scores: UnsafeMutablePointer<Float>, count: Int) {
        let head = description.head
        if head.scale != 1 {
            let scale = Float(head.scale)
            for index in 0..<count { scores[index] *= scale }
        }
        if let cap = head.softCap { rowKernels.softCap(scores, count: count, cap: Float(cap)) }
    }
}
