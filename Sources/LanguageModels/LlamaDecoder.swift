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
    private static let tileRows = PackedMatrix.tileRows

    init(configuration: ModelConfiguration, weights: LlamaWeights, kernel: AttentionKernel) {
        self.configuration = configuration
        self.weights = weights
        self.kernel = kernel
        rows = kernel.rowKernels
        rotary = RotaryTable(configuration: configuration)
    }

    /// Buffers of one forward pass, sized for its tokens.
    private struct Activations: ~Copyable {
        let queries, attended, tiles: AlignedBuffer<Float>
        /// Of one worker's tile; packed rows stand at its end.
        let tileRows, tileFloats, packedOffset: Int
        /// Seconds in matrix products, one entry a worker.
        let productSeconds: AlignedBuffer<Double>

        init(_ c: ModelConfiguration, tokens: Int, kernel: AttentionKernel) throws(InputError) {
            let purpose = "queries and outputs of \(tokens) tokens"
            let rows = try AlignedBuffer<Float>(extents: tokens, c.queryHeads, c.headDimension, of: purpose)
            let outputs = try AlignedBuffer<Float>(extents: tokens, c.queryHeads, c.headDimension, of: purpose)
            queries = rows
            attended = outputs
            tileRows = min(LlamaDecoder.tileRows, tokens)
            packedOffset = tileRows * (c.hiddenSize + 2 * max(c.intermediateSize, c.keyValueHeads * c.headDimension))
            let widest = max(c.hiddenSize, c.intermediateSize, c.queryHeads * c.headDimension)
            tileFloats = packedOffset + kernel.packedElements(rows: tileRows, inputs: widest)
            tiles = AlignedBuffer(count: tileFloats * kernel.pool.threads)
            productSeconds = AlignedBuffer(count: kernel.pool.threads)
        }

        /// The share of a layer's wall time that products took, when all workers are busy.
        var meanProductSeconds: Double { productSeconds.elements.reduce(0, +) / Double(productSeconds.count) }
    }

    /// What one forward pass did.
    struct Pass {
        var layers: [AttentionReport] = []
        /// In the matrix products outside attention.
        var productSeconds = 0.0
    }

    /// Appends `tokens` to the cache and leaves their final, normed hidden states in `hidden` [tokens][hidden].
    ///
    /// - Parameter firstLayer: above 0, `hidden` must hold the residual stream before that layer, and the cache fills from that
    ///   layer on only.
    func forward(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, promptLength: Int, policy: AttentionPolicy, workspace: AttentionWorkspace,
        hidden: UnsafeMutablePointer<Float>, from firstLayer: Int = 0, observer: inout some ForwardObserver
    ) throws -> Pass {
        let c = configuration
        let count = tokens.count
        let activations = try Activations(c, tokens: count, kernel: kernel)
        let rotary = rotary.embedding(positions: cache.position + count, pool: pool)
        if firstLayer == 0 { embed(tokens, into: hidden) }
        var pass = Pass()
        for layer in firstLayer..<c.layerCount {
            try observer.reached(depth: layer, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
            project(layer, count: count, hidden: hidden, activations: activations, cache: cache, rotary: rotary)
            let inputs = LayerInputs(
                query: HeadTensor(projection: activations.queries.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension),
                key: cache.keys(layer: layer, rows: cache.count + count, pool: pool),
                value: cache.values(layer: layer, rows: cache.count + count, pool: pool))
            let output = MutableHeadTensor(
                projection: activations.attended.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension)
            let report = try policy.attend(
                LayerCall(inputs: inputs, layer: layer, promptLength: promptLength, kernel: kernel), output: output, workspace: workspace)
            pass.layers.append(report)
            try observer.attended(LayerAttention(layer: layer, inputs: inputs, output: output.readOnly))
            feedForward(layer, count: count, hidden: hidden, activations: activations)
        }
        cache.count += count
        cache.position += count
        normalize(count: count, hidden: hidden)
        try observer.reached(depth: c.layerCount, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
        pass.productSeconds = activations.meanProductSeconds
        return pass
    }

    /// Next-token scores of rows of `hidden`: [rows][vocabulary].
    func logits(hidden: UnsafePointer<Float>, rows count: Int, into logits: UnsafeMutablePointer<Float>) {
        let target = SharedPointer(logits)
        let source = SharedPointer(UnsafeMutablePointer(mutating: hidden))
        let size = configuration.hiddenSize
        let vocabulary = configuration.vocabularySize
        let roomElements = kernel.packedElements(rows: Self.tileRows, inputs: size)
        let rooms = AlignedBuffer<Float>(count: roomElements * pool.threads)
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

    /// One worker's part of a pass over tiles: where it works, and how long its products took.
    private struct Tile {
        let kernel: AttentionKernel
        let base: UnsafeMutablePointer<Float>
        let packedRoom: UnsafeMutablePointer<Float>
        let seconds: UnsafeMutablePointer<Double>
        let isAlone: Bool

        /// output[row] (+)= matrix · input[row] for each matrix and its output; the input is packed once.
        func apply(
            _ matrices: [(matrix: PackedMatrix, output: UnsafeMutablePointer<Float>)], to input: UnsafePointer<Float>, rows: Int,
            adding: Bool = false
        ) {
            let start = ContinuousClock.now
            let packed = kernel.packed(input, rows: rows, inputs: matrices[0].matrix.inputs, room: packedRoom)
            if isAlone {
                for (matrix, output) in matrices { multiplyTogether(packed, matrix, into: SharedPointer(output), adding: adding) }
            } else {
                for (matrix, output) in matrices { kernel.multiply(packed, matrix, into: output, stride: matrix.outputs, adding: adding) }
            }
            // Alone, all workers spent this time.
            seconds.pointee += (ContinuousClock.now - start).seconds * (isAlone ? Double(kernel.pool.threads) : 1)
        }

        /// Few rows, as in decoding: all workers share the outputs of one product.
        private func multiplyTogether(_ rows: PackedRows, _ matrix: PackedMatrix, into output: SharedPointer<Float>, adding: Bool) {
            let share = (matrix.outputs + kernel.pool.threads - 1) / kernel.pool.threads
            // Waking a worker costs some microseconds: a piece is worth it from a quarter of a million products on.
            let least = max(1, (1 << 18) / (rows.rows * matrix.inputs))
            let block = PackedMatrix.blockOutputs
            let piece = (max(share, least) + block - 1) / block * block
            kernel.pool.run((matrix.outputs + piece - 1) / piece) { [kernel] _, index in
                let outputs = index * piece..<min((index + 1) * piece, matrix.outputs)
                kernel.multiply(
                    rows, matrix, outputs: outputs, into: output.base + outputs.lowerBound, stride: matrix.outputs, adding: adding)
            }
        }
    }

    /// Room for the tiles of every worker.
    private struct Tiles: @unchecked Sendable {
        let kernel: AttentionKernel
        let base: UnsafeMutablePointer<Float>
        let rows, floats, packedOffset: Int
        let seconds: UnsafeMutablePointer<Double>
        /// There is one tile only: the other workers are free.
        let isAlone: Bool

        init(_ activations: borrowing Activations, count: Int, kernel: AttentionKernel) {
            self.kernel = kernel
            base = activations.tiles.base
            rows = activations.tileRows
            floats = activations.tileFloats
            isAlone = count <= LlamaDecoder.tileRows
            packedOffset = activations.packedOffset
            seconds = activations.productSeconds.base
        }

        subscript(worker: Int) -> Tile {
            let own = base + worker * floats
            return Tile(kernel: kernel, base: own, packedRoom: own + packedOffset, seconds: seconds + worker, isAlone: isAlone)
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
        _ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, activations: borrowing Activations, cache: KeyValueCache,
        rotary: RotaryEmbedding
    ) {
        let c = configuration
        let own = weights.layers[layer]
        let (first, position) = (cache.count, cache.position)
        let source = SharedPointer(hidden)
        let queries = SharedPointer(activations.queries.base)
        let tiles = Tiles(activations, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let normed = tile.base
            let query = queries.base + row * own.query.outputs
            let key = normed + tiles.rows * c.hiddenSize
            let value = key + tiles.rows * own.key.outputs
            norm(own.inputNorm, source.base + row * c.hiddenSize, rows: rows, into: normed)
            tile.apply([(own.query, query), (own.key, key), (own.value, value)], to: normed, rows: rows)
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
    private func feedForward(_ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, activations: borrowing Activations) {
        let c = configuration
        let own = weights.layers[layer]
        let stream = SharedPointer(hidden)
        let attended = SharedPointer(activations.attended.base)
        let tiles = Tiles(activations, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let normed = tile.base
            let gate = normed + tiles.rows * c.hiddenSize
            let up = gate + tiles.rows * c.intermediateSize
            let residual = stream.base + row * c.hiddenSize
            tile.apply([(own.output, residual)], to: attended.base + row * own.output.inputs, rows: rows, adding: true)
            norm(own.postAttentionNorm, residual, rows: rows, into: normed)
            tile.apply([(own.gate, gate), (own.up, up)], to: normed, rows: rows)
            self.rows.swiGLU(gate: gate, up: up, count: rows * c.intermediateSize)
            tile.apply([(own.down, residual)], to: gate, rows: rows, adding: true)
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
