import AttentionCore
import AttentionKernels
import LinearAlgebra
import ModelFormats
import SampleAttention

/// The Llama forward pass: RMSNorm, rotary embedding, grouped-query attention, SwiGLU, residuals, all in FP32.
///
/// Everything but attention works on tiles of rows spread over the pool, so memory beside the cache is
/// O(tokens · (hidden + 2 · heads · d)) plus a few tiles.
/// Source: LLaMA (arXiv 2302.13971); grouped queries (arXiv 2305.13245).
struct LlamaDecoder: Sendable {
    let configuration: ModelConfiguration
    let weights: LlamaWeights
    let attention: SampleAttentionOperator
    private let rows: RowKernels

    private var pool: WorkerPool { attention.kernel.pool }
    private static let tileRows = 128

    init(configuration: ModelConfiguration, weights: LlamaWeights, attention: SampleAttentionOperator) {
        self.configuration = configuration
        self.weights = weights
        self.attention = attention
        rows = attention.kernel.rowKernels
    }

    /// Buffers of one forward pass, sized for its tokens.
    private struct Activations: ~Copyable {
        let queries, attended, tiles: AlignedBuffer<Float>
        let tileFloats: Int

        init(_ c: ModelConfiguration, tokens: Int, threads: Int) {
            queries = AlignedBuffer(count: tokens * c.queryHeads * c.headDimension)
            attended = AlignedBuffer(count: tokens * c.queryHeads * c.headDimension)
            tileFloats = LlamaDecoder.tileRows * (c.hiddenSize + 2 * max(c.intermediateSize, c.keyValueHeads * c.headDimension))
            tiles = AlignedBuffer(count: tileFloats * threads)
        }
    }

    /// Appends `tokens` to the cache and leaves their final, normed hidden states in `hidden` [tokens][hidden].
    func forward(
        _ tokens: ArraySlice<Int32>, cache: KeyValueCache, promptLength: Int, policy: AttentionPolicy, workspace: AttentionWorkspace,
        hidden: UnsafeMutablePointer<Float>, observer: inout some ForwardObserver
    ) throws -> [SampleAttentionOperator.Report] {
        let c = configuration
        let count = tokens.count
        let activations = Activations(c, tokens: count, threads: pool.threads)
        embed(tokens, into: hidden)
        var reports: [SampleAttentionOperator.Report] = []
        for layer in 0..<c.layerCount {
            try observer.reached(depth: layer, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
            project(layer, count: count, hidden: hidden, activations: activations, cache: cache)
            let inputs = SampleAttentionOperator.Inputs(
                query: HeadTensor(projection: activations.queries.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension),
                key: cache.keys(layer: layer, tokens: cache.count + count), value: cache.values(layer: layer, tokens: cache.count + count))
            let output = MutableHeadTensor(
                projection: activations.attended.base, heads: c.queryHeads, tokens: count, dimension: c.headDimension)
            let report = try attention.attend(
                inputs, parameters: policy.parameters(layer: layer, queryHeads: c.queryHeads, promptLength: promptLength),
                promptLength: promptLength, output: output,
                workspace: workspace)
            reports.append(report)
            try observer.attended(layer: layer, inputs: inputs, output: output.readOnly)
            feedForward(layer, count: count, hidden: hidden, activations: activations)
        }
        cache.count += count
        normalize(count: count, hidden: hidden)
        try observer.reached(depth: c.layerCount, hidden: UnsafeBufferPointer(start: hidden, count: count * c.hiddenSize))
        return reports
    }

    /// Next-token scores of rows of `hidden`: [rows][vocabulary].
    func logits(hidden: UnsafePointer<Float>, rows count: Int, into logits: UnsafeMutablePointer<Float>) {
        let target = Shared(logits)
        let source = Shared(UnsafeMutablePointer(mutating: hidden))
        let size = configuration.hiddenSize
        let vocabulary = configuration.vocabularySize
        // Few rows: split the vocabulary, so that one position's logits use every thread too.
        let columns = count >= Self.tileRows ? vocabulary : 1024
        let columnTiles = (vocabulary + columns - 1) / columns
        pool.run(((count + Self.tileRows - 1) / Self.tileRows) * columnTiles) { _, index in
            let row = index / columnTiles * Self.tileRows
            let column = index % columnTiles * columns
            MatrixProduct.multiply(
                rows: min(Self.tileRows, count - row), columns: min(columns, vocabulary - column), inner: size,
                a: source.base + row * size, aStride: size, b: weights.head.row(column), bStride: size, transposedB: true,
                into: target.base + row * vocabulary + column, cStride: vocabulary)
        }
    }

    private func embed(_ tokens: ArraySlice<Int32>, into hidden: UnsafeMutablePointer<Float>) {
        for (index, token) in tokens.enumerated() {
            (hidden + index * configuration.hiddenSize).update(from: weights.embedding.row(Int(token)), count: configuration.hiddenSize)
        }
    }

    private func forEachTile(_ count: Int, _ body: @Sendable (_ worker: Int, _ firstRow: Int, _ rows: Int) -> Void) {
        pool.run((count + Self.tileRows - 1) / Self.tileRows) { worker, index in
            let first = index * Self.tileRows
            body(worker, first, min(Self.tileRows, count - first))
        }
    }

    /// output[row] (+)= weight · input[row].
    private func apply(
        _ weight: Weights, to input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>, adding: Bool = false
    ) {
        MatrixProduct.multiply(
            rows: rows, columns: weight.outputs, inner: weight.inputs, a: input, aStride: weight.inputs, b: weight.base,
            bStride: weight.inputs, transposedB: true, into: output, cStride: weight.outputs, scaleC: adding ? 1 : 0)
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
        _ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, activations: borrowing Activations, cache: KeyValueCache
    ) {
        let c = configuration
        let own = weights.layers[layer]
        let first = cache.count
        let source = Shared(hidden)
        let queries = Shared(activations.queries.base)
        let tiles = Shared(activations.tiles.base)
        let tileFloats = activations.tileFloats
        forEachTile(count) { worker, row, rows in
            let normed = tiles.base + worker * tileFloats
            let query = queries.base + row * own.query.outputs
            let key = normed + Self.tileRows * c.hiddenSize
            let value = key + Self.tileRows * own.key.outputs
            norm(own.inputNorm, source.base + row * c.hiddenSize, rows: rows, into: normed)
            apply(own.query, to: normed, rows: rows, into: query)
            apply(own.key, to: normed, rows: rows, into: key)
            apply(own.value, to: normed, rows: rows, into: value)
            for index in 0..<rows {
                rotate(query + index * own.query.outputs, heads: c.queryHeads, position: first + row + index, cache.rotary)
                rotate(key + index * own.key.outputs, heads: c.keyValueHeads, position: first + row + index, cache.rotary)
            }
            cache.store(layer: layer, first: first + row, rows: rows, keys: key, values: value)
        }
    }

    private func rotate(_ vector: UnsafeMutablePointer<Float>, heads: Int, position: Int, _ rotary: RotaryEmbedding) {
        for head in 0..<heads {
            rows.rotateHalves(
                vector + head * configuration.headDimension, cosine: rotary.cosine(position), sine: rotary.sine(position), half: rotary.half
            )
        }
    }

    /// Output projection and MLP, each added to the residual stream.
    private func feedForward(_ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, activations: borrowing Activations) {
        let c = configuration
        let own = weights.layers[layer]
        let stream = Shared(hidden)
        let attended = Shared(activations.attended.base)
        let tiles = Shared(activations.tiles.base)
        let tileFloats = activations.tileFloats
        forEachTile(count) { worker, row, rows in
            let normed = tiles.base + worker * tileFloats
            let gate = normed + Self.tileRows * c.hiddenSize
            let up = gate + Self.tileRows * c.intermediateSize
            let residual = stream.base + row * c.hiddenSize
            apply(own.output, to: attended.base + row * own.output.inputs, rows: rows, into: residual, adding: true)
            norm(own.postAttentionNorm, residual, rows: rows, into: normed)
            apply(own.gate, to: normed, rows: rows, into: gate)
            apply(own.up, to: normed, rows: rows, into: up)
            self.rows.swiGLU(gate: gate, up: up, count: rows * c.intermediateSize)
            apply(own.down, to: gate, rows: rows, into: residual, adding: true)
        }
    }

    private func normalize(count: Int, hidden: UnsafeMutablePointer<Float>) {
        let stream = Shared(hidden)
        forEachTile(count) { _, row, rows in
            let start = stream.base + row * configuration.hiddenSize
            norm(weights.finalNorm, start, rows: rows, into: start)
        }
    }
}

/// A buffer that tiles of rows write disjoint parts of.
private struct Shared: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>
    init(_ base: UnsafeMutablePointer<Float>) { self.base = base }
}
