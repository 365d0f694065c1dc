import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism
import SampleAttention

/// The Llama forward pass: RMSNorm, rotary embedding, grouped-query attention, SwiGLU, residuals. Matrix products take
/// operands in the kernel's precision; everything else is FP32.
///
/// Everything but attention works on tiles of rows spread over the pool, so memory beside the cache is
/// O(tokens · (hidden + 2 · heads · d)) plus a few tiles.
/// Source: LLaMA (arXiv 2302.13971); grouped queries (arXiv 2305.13245).
struct LlamaDecoder: Sendable {
    let configuration: ModelConfiguration
    let weights: LlamaWeights
    let kernel: AttentionKernel
    private let rows: RowKernels
    private let rotary: RotaryTable

    private var pool: WorkerPool { kernel.pool }
    static let tileRows = PackedMatrix.tileRows

    init(configuration: ModelConfiguration, weights: LlamaWeights, kernel: AttentionKernel) {
        self.configuration = configuration
        self.weights = weights
        self.kernel = kernel
        rows = kernel.rowKernels
        rotary = RotaryTable(configuration: configuration)
    }

    /// Attends in one layer: from the queries to the output, over the cache's rows and as many new ones as there are queries, which are
    /// stored already.
    typealias Attend<Observer: ForwardObserver> = (
        _ layer: Int, _ query: HeadTensor, _ output: MutableHeadTensor, _ observer: inout Observer
    ) throws -> Void

    /// Appends `tokens` to the cache and leaves their final, normed hidden states in `hidden` [tokens][hidden].
    ///
    /// - Parameters:
    ///   - buffers: for at least as many tokens.
    ///   - firstLayer: above 0, `hidden` must hold the residual stream before that layer, and the cache fills from that layer on only.
    func forward<Observer: ForwardObserver>(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, buffers: ForwardBuffers, hidden: UnsafeMutablePointer<Float>,
        from firstLayer: Int = 0, observer: inout Observer, attend: Attend<Observer>
    ) throws {
        let c = configuration
        let count = tokens.count
        precondition(count <= buffers.tokens, "the buffers hold as many tokens")
        let rotary = buffers.rotary(of: rotary, positions: cache.position + count, pool: pool)
        let query = HeadTensor(projection: buffers.queries.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension)
        let output = MutableHeadTensor(
            projection: buffers.attended.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension)
        if firstLayer == 0 { embed(tokens, into: hidden) }
        for layer in firstLayer..<c.layerCount {
            try observer.reached(depth: layer, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
            project(layer, count: count, hidden: hidden, buffers: buffers, cache: cache, rotary: rotary)
            try attend(layer, query, output, &observer)
            feedForward(layer, count: count, hidden: hidden, buffers: buffers)
        }
        cache.count += count
        cache.position += count
        normalize(count: count, hidden: hidden)
        try observer.reached(depth: c.layerCount, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
    }

    /// What a prefill's forward pass did.
    struct Pass {
        var layers: [AttentionReport] = []
        /// In the matrix products outside attention.
        var productSeconds = 0.0
    }

    /// A forward pass in which each layer attends as a policy says.
    ///
    /// - Parameter floats: of this cache, with room for the new rows too.
    func prefill(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, promptLength: Int, policy: AttentionPolicy, workspace: AttentionWorkspace,
        floats: FloatLayer, hidden: UnsafeMutablePointer<Float>, from firstLayer: Int = 0, observer: inout some ForwardObserver
    ) throws -> Pass {
        let buffers = try ForwardBuffers(configuration, tokens: tokens.count, kernel: kernel)
        var pass = Pass()
        try forward(
            tokens, cache: cache, buffers: buffers, hidden: hidden, from: firstLayer, observer: &observer
        ) { layer, query, output, observer in
            let (keys, values) = floats.keysAndValues(layer: layer, rows: cache.count + query.tokens, kernel: kernel)
            let inputs = LayerInputs(query: query, key: keys, value: values)
            let report = try policy.attend(
                LayerCall(inputs: inputs, layer: layer, promptLength: promptLength, kernel: kernel), output: output, workspace: workspace)
            pass.layers.append(report)
            try observer.attended(LayerAttention(layer: layer, inputs: inputs, output: output.readOnly))
        }
        pass.productSeconds = buffers.meanProductSeconds
        return pass
    }

    /// Room in which the logits' rows are packed, one part a worker.
    func makeLogitBuffers() -> AlignedBuffer<Float> {
        AlignedBuffer(count: kernel.packedElements(rows: Self.tileRows, inputs: configuration.hiddenSize) * pool.threads)
    }

    /// Next-token scores of rows of `hidden`: [rows][vocabulary].
    func logits(
        hidden: UnsafePointer<Float>, rows count: Int, into logits: UnsafeMutablePointer<Float>, rooms: borrowing AlignedBuffer<Float>
    ) {
        let target = SharedPointer(logits)
        let source = SharedPointer(UnsafeMutablePointer(mutating: hidden))
        let size = configuration.hiddenSize
        let vocabulary = configuration.vocabularySize
        let roomElements = kernel.packedElements(rows: Self.tileRows, inputs: size)
        let room = SharedPointer(rooms.base)
        // Few rows: split the vocabulary, so that one position's logits use every thread too.
        let columns = count >= Self.tileRows ? vocabulary : 16 * PackedMatrix.blockOutputs
        let columnTiles = (vocabulary + columns - 1) / columns
        pool.run(((count + Self.tileRows - 1) / Self.tileRows) * columnTiles) { worker, index in
            let row = index / columnTiles * Self.tileRows
            let column = index % columnTiles * columns
            let input = kernel.packed(
                source.base + row * size, rows: min(Self.tileRows, count - row), inputs: size, room: room.base + worker * roomElements)
            kernel.multiply(
                input, weights.head, outputs: column..<min(column + columns, vocabulary), into: target.base + row * vocabulary + column,
                stride: vocabulary)
        }
    }

    private func embed(_ tokens: ArraySlice<Int32>, into hidden: UnsafeMutablePointer<Float>) {
        let size = configuration.hiddenSize
        let target = SharedPointer(hidden)
        forEachTile(tokens.count) { _, row, rows in
            for index in row..<row + rows {
                let token = Int(tokens[tokens.startIndex + index])
                (target.base + index * size).update(from: weights.embedding.row(token), count: size)
            }
        }
    }

    private func forEachTile(_ count: Int, _ body: @Sendable (_ worker: Int, _ firstRow: Int, _ rows: Int) -> Void) {
        pool.run((count + Self.tileRows - 1) / Self.tileRows) { worker, index in
            let first = index * Self.tileRows
            body(worker, first, min(Self.tileRows, count - first))
        }
    }

    private func norm(_ weight: Weights, _ input: UnsafePointer<Float>, rows count: Int, into output: UnsafeMutablePointer<Float>) {
        let size = configuration.hiddenSize
        for row in 0..<count {
            rows.rootMeanSquareNorm(
                input + row * size, weight: weight.base, epsilon: Float(configuration.normalizationEpsilon), count: size,
                into: output + row * size)
        }
    }

    /// Norm, then Q into the activations and K, V into the cache, rotated.
    private func project(
        _ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, buffers: ForwardBuffers, cache: KeyValueCache,
        rotary: RotaryEmbedding
    ) {
        let c = configuration
        let own = weights.layers[layer]
        let (first, position) = (cache.count, cache.position)
        let source = SharedPointer(hidden)
        let queries = SharedPointer(buffers.queries.base)
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let normed = tile.base
            let query = queries.base + row * own.query.outputs
            let key = normed + tiles.rows * c.hiddenSize
            let value = key + tiles.rows * own.key.outputs
            norm(own.inputNorm, source.base + row * c.hiddenSize, rows: rows, into: normed)
            let input = tile.packed(normed, rows: rows, inputs: c.hiddenSize)
            tile.multiply(input, own.query, into: query)
            tile.multiply(input, own.key, into: key)
            tile.multiply(input, own.value, into: value)
            for index in 0..<rows {
                rotate(query + index * own.query.outputs, heads: c.queryHeads, position: position + row + index, rotary)
                rotate(key + index * own.key.outputs, heads: c.keyValueHeads, position: position + row + index, rotary)
            }
            cache.store(layer: layer, first: first + row, rows: rows, keys: key, values: value)
        }
    }

    private func rotate(_ vector: UnsafeMutablePointer<Float>, heads: Int, position: Int, _ rotary: RotaryEmbedding) {
        let (cosine, sine) = (rotary.cosine(position), rotary.sine(position))
        for head in 0..<heads {
            rows.rotateHalves(vector + head * configuration.headDimension, cosine: cosine, sine: sine, half: rotary.half)
        }
    }

    /// Output projection and MLP, each added to the residual stream.
    private func feedForward(_ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, buffers: ForwardBuffers) {
        let c = configuration
        let own = weights.layers[layer]
        let stream = SharedPointer(hidden)
        let attended = SharedPointer(buffers.attended.base)
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let normed = tile.base
            let gate = normed + tiles.rows * c.hiddenSize
            let up = gate + tiles.rows * c.intermediateSize
            let residual = stream.base + row * c.hiddenSize
            let heads = tile.packed(attended.base + row * own.output.inputs, rows: rows, inputs: own.output.inputs)
            tile.multiply(heads, own.output, into: residual, adding: true)
            norm(own.postAttentionNorm, residual, rows: rows, into: normed)
            let input = tile.packed(normed, rows: rows, inputs: c.hiddenSize)
            tile.multiply(input, own.gate, into: gate)
            tile.multiply(input, own.up, into: up)
            self.rows.swiGLU(gate: gate, up: up, count: rows * c.intermediateSize)
            tile.multiply(tile.packed(gate, rows: rows, inputs: c.intermediateSize), own.down, into: residual, adding: true)
        }
    }

    private func normalize(count: Int, hidden: UnsafeMutablePointer<Float>) {
        let stream = SharedPointer(hidden)
        forEachTile(count) { _, row, rows in
            let start = stream.base + row * configuration.hiddenSize
            norm(weights.finalNorm, start, rows: rows, into: start)
        }
    }
}
