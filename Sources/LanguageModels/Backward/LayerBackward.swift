import AttentionCore
import AttentionKernels
import Parallelism

/// One layer's turn in a backward pass: from the gradients at what the layer leaves in the residual stream to those at what it finds there.
struct LayerBackward: @unchecked Sendable {  // Workers write rows of their own.
    let decoder: Decoder
    let layer: Int
    let buffers: BackwardBuffers
    /// [tokens][hidden], before the layer.
    let stream: UnsafeMutablePointer<Float>
    /// [tokens][queryHeads · d], the output of its attention.
    let attended: UnsafeMutablePointer<Float>
    /// [tokens][hidden] of each label set: gradients at the residual stream, replaced.
    let gradients: [SharedPointer<Float>]

    private var own: DecoderWeights.Layer { decoder.weights.layers[layer] }
    private var description: LayerDescription { decoder.description.layers[layer] }
    private var size: Int { decoder.description.hiddenSize }
    private var headFloats: Int { own.output.inputs }
    private var isParallel: Bool { description.order == .parallel }
    private var rowGradients: RowGradients { RowGradients(kernels: decoder.rowKernels, norm: decoder.description.norm) }

    // MARK: Branches

    /// Back through the feed-forward and the output projection: leaves gradients at the attention's output in `buffers.attended`, and in
    /// `gradients` those that pass the two branches by.
    func branches(_ transposed: TransposedBranches) {
        let (stream, attended) = (SharedPointer(stream), SharedPointer(attended))
        decoder.forEachTile(buffers.tokens) { worker, row, rows in
            let tile = buffers.tile(worker)
            let (x, heads) = (stream.base + row * size, attended.base + row * headFloats)
            tile.residual.update(from: x, count: rows * size)
            if !isParallel {
                tile.multiply(heads, rows: rows, own.output, into: tile.branch)
                decoder.norm(own.normAfterAttention, tile.branch, rows: rows, into: tile.normed)
                let scale = Float(description.residualScale)
                for index in 0..<rows * size { tile.residual[index] += scale * tile.normed[index] }
            }
            feedForward(tile, transposed.feedForward, row: row, rows: rows)
            if own.normAfterAttention != nil { tile.multiply(heads, rows: rows, own.output, into: tile.branch) }
            for (label, gradient) in gradients.enumerated() {
                scaled(gradient.base + row * size, rows: rows, into: tile.gradient)
                through(own.normAfterAttention, tile.branch, rows: rows, gradient: tile.gradient)
                let target = buffers.attended.base + (label * buffers.tokens + row) * headFloats
                tile.multiply(tile.gradient, rows: rows, transposed.output, into: target)
            }
        }
    }

    /// Adds to the gradients what comes back through the feed-forward of a tile's `residual`.
    private func feedForward(_ tile: BackwardTile, _ transposed: TransposedBranches.FeedForward, row: Int, rows: Int) {
        let norm = isParallel ? own.normBeforeAttention : own.normBeforeFeedForward
        decoder.norm(norm, tile.residual, rows: rows, into: tile.normed)
        let step = feedForwardStep(tile, transposed, rows: rows)
        if own.normAfterFeedForward != nil { step.output(into: tile.branch) }
        for (label, gradient) in gradients.enumerated() {
            scaled(gradient.base + row * size, rows: rows, into: tile.gradient)
            through(own.normAfterFeedForward, tile.branch, rows: rows, gradient: tile.gradient)
            step.takeBack(tile.gradient)
            pass(tile, norm: norm, label: label, gradient: gradient.base + row * size, row: row, rows: rows)
        }
    }

    private func feedForwardStep(
        _ tile: BackwardTile, _ transposed: TransposedBranches.FeedForward, rows: Int
    ) -> any FeedForwardBackward {
        switch (own.feedForward, transposed, description.feedForward) {
        case (.gated(let gated), .gated(let turned), .gated(_, let activation, _)):
            GatedBackward(tile, rows: rows, gradients: rowGradients, gated, turned, activation)
        case (.plain(let up, let down), .plain(let turnedUp, let turnedDown), .plain(_, let activation, _)):
            PlainBackward(tile, rows: rows, gradients: rowGradients, (up, down), (turnedUp, turnedDown), activation)
        case (.experts(let router, let experts), .experts(let turnedRouter, let turned), .experts(let description)):
            MixtureBackward(
                tile, rows: rows, gradients: rowGradients, router: (router, turnedRouter), experts: Array(zip(experts, turned)), description
            )
        default: preconditionFailure("weights follow the description")
        }
    }

    /// The gradient at the feed-forward's normed input, in the tile's `gradient`, goes on through the norm; where the attention reads the
    /// same norm, it waits for what comes from there.
    private func pass(
        _ tile: BackwardTile, norm: WeightVector?, label: Int, gradient: UnsafeMutablePointer<Float>, row: Int, rows: Int
    ) {
        if isParallel {
            let waiting = buffers.normed.base + (label * buffers.tokens + row) * size
            waiting.update(from: tile.gradient, count: rows * size)
            return
        }
        through(norm, tile.residual, rows: rows, gradient: tile.gradient)
        for index in 0..<rows * size { gradient[index] += tile.gradient[index] }
    }

    private func scaled(_ gradient: UnsafePointer<Float>, rows: Int, into target: UnsafeMutablePointer<Float>) {
        let scale = Float(description.residualScale)
        for index in 0..<rows * size { target[index] = scale * gradient[index] }
    }

    /// Back through a norm of some rows; nothing where there is none.
    private func through(
        _ weight: WeightVector?, _ x: UnsafePointer<Float>, rows: Int, gradient: UnsafeMutablePointer<Float>
    ) {
        guard let weight else { return }
        for row in 0..<rows {
            rowGradients.throughNorm(x + row * size, weight: weight.base, count: size, gradient: gradient + row * size)
        }
    }

    // MARK: Queries, keys and values

    /// The queries, keys and values that attention had, into the buffers; as the prefill made them, bit for bit.
    func attentionInputs(_ rotary: RotaryEmbedding?) {
        let stream = SharedPointer(stream)
        decoder.forEachTile(buffers.tokens) { worker, row, rows in
            let tile = buffers.tile(worker)
            decoder.norm(own.normBeforeAttention, stream.base + row * size, rows: rows, into: tile.normed)
            let query = buffers.queries.base + row * own.query.outputs
            let key = buffers.keys.base + row * own.key.outputs
            tile.multiply(tile.normed, rows: rows, own.query, into: query)
            tile.multiply(tile.normed, rows: rows, own.key, into: key)
            tile.multiply(tile.normed, rows: rows, own.value, into: buffers.values.base + row * own.value.outputs)
            decoder.finishQueries(layer, query, rows: rows, firstPosition: row, rotary: rotary)
            decoder.finishKeys(layer, key, rows: rows, firstPosition: row, rotary: rotary)
        }
    }

    /// Back from the gradients at rotated queries and keys and at values, in `buffers`, to the residual stream of one label set.
    func projections(_ label: Int, inputs: TransposedInputs, rotary: RotaryEmbedding?) {
        let stream = SharedPointer(stream)
        decoder.forEachTile(buffers.tokens) { worker, row, rows in
            let tile = buffers.tile(worker)
            let x = stream.base + row * size
            let query = buffers.query.base + row * own.query.outputs
            let key = buffers.key.base + row * own.key.outputs
            if description.attention.queryKeyNorm != nil {
                decoder.norm(own.normBeforeAttention, x, rows: rows, into: tile.normed)
                tile.multiply(tile.normed, rows: rows, own.query, into: tile.heads)
                tile.multiply(tile.normed, rows: rows, own.key, into: tile.otherHeads)
            }
            for index in 0..<rows {
                let position = row + index
                let ownQuery = query + index * own.query.outputs
                if let factor = decoder.queryFactor(layer, position: position) {
                    for at in 0..<own.query.outputs { ownQuery[at] *= factor }
                }
                unturned(
                    ownQuery, before: tile.heads + index * own.query.outputs, weight: own.queryNorm, heads: decoder.description.queryHeads,
                    position: position, rotary: rotary)
                unturned(
                    key + index * own.key.outputs, before: tile.otherHeads + index * own.key.outputs, weight: own.keyNorm,
                    heads: decoder.description.keyValueHeads, position: position, rotary: rotary)
            }
            tile.multiply(query, rows: rows, inputs.query, into: tile.gradient)
            tile.multiply(key, rows: rows, inputs.key, into: tile.gradient, adding: true)
            tile.multiply(buffers.value.base + row * own.value.outputs, rows: rows, inputs.value, into: tile.gradient, adding: true)
            if isParallel {
                let waiting = buffers.normed.base + (label * buffers.tokens + row) * size
                for index in 0..<rows * size { tile.gradient[index] += waiting[index] }
            }
            through(own.normBeforeAttention, x, rows: rows, gradient: tile.gradient)
            let gradient = gradients[label].base + row * size
            for index in 0..<rows * size { gradient[index] += tile.gradient[index] }
        }
    }

    /// Back through the rotation and the norm of one row's heads.
    ///
    /// - Parameter before: what the norm read, [heads · d]; read only where there is one.
    private func unturned(
        _ gradient: UnsafeMutablePointer<Float>, before: UnsafePointer<Float>, weight: WeightVector?, heads: Int, position: Int,
        rotary: RotaryEmbedding?
    ) {
        let dimension = decoder.description.headDimension
        if let rotary {
            for head in 0..<heads { rowGradients.throughRotation(gradient + head * dimension, position: position, rotary) }
        }
        guard let kind = description.attention.queryKeyNorm, let weight = weight?.base else { return }
        switch kind {
        case .acrossHeads: rowGradients.throughNorm(before, weight: weight, count: heads * dimension, gradient: gradient)
        case .perHead:
            for head in 0..<heads {
                let at = head * dimension
                rowGradients.throughNorm(before + at, weight: weight, count: dimension, gradient: gradient + at)
            }
        }
    }
}
