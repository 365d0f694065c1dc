import AttentionCore
import AttentionKernels

extension Decoder {
    /// Adds what a layer's attention and its feed-forward make to the residual stream.
    func addBranches(_ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, buffers: ForwardBuffers) {
        if case .experts(let router, let experts) = weights.layers[layer].feedForward {
            addAttention(layer, count: count, hidden: hidden, buffers: buffers)
            addExperts(layer, router: router, experts: experts, count: count, hidden: hidden, buffers: buffers)
            return
        }
        let size = description.hiddenSize
        let own = weights.layers[layer]
        let isParallel = description.layers[layer].order == .parallel
        let stream = SharedPointer(hidden)
        let attended = SharedPointer(buffers.attended.base)
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let residual = stream.base + row * size
            // Side by side both branches read what the stream was before either.
            if isParallel { norm(own.normBeforeAttention, residual, rows: rows, into: tile.normed) }
            addAttention(layer, tile, rows: rows, attended: attended.base + row * own.output.inputs, residual: residual)
            if !isParallel { norm(own.normBeforeFeedForward, residual, rows: rows, into: tile.normed) }
            addFeedForward(layer, tile, rows: rows, residual: residual)
        }
    }

    private func addAttention(_ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, buffers: ForwardBuffers) {
        let stream = SharedPointer(hidden)
        let attended = SharedPointer(buffers.attended.base)
        let inputs = weights.layers[layer].output.inputs
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            addAttention(
                layer, tiles[worker], rows: rows, attended: attended.base + row * inputs,
                residual: stream.base + row * description.hiddenSize)
        }
    }

    /// Output projection.
    private func addAttention(
        _ layer: Int, _ tile: ForwardTile, rows: Int, attended: UnsafePointer<Float>, residual: UnsafeMutablePointer<Float>
    ) {
        let own = weights.layers[layer]
        let heads = tile.packed(attended, rows: rows, inputs: own.output.inputs)
        add(layer, tile, heads, own.output, norm: own.normAfterAttention, to: residual)
    }

    /// The feed-forward of a tile's normed rows.
    private func addFeedForward(_ layer: Int, _ tile: ForwardTile, rows: Int, residual: UnsafeMutablePointer<Float>) {
        let own = weights.layers[layer]
        let input = tile.packed(tile.normed, rows: rows, inputs: description.hiddenSize)
        let down: DecoderWeights.Projection
        switch (own.feedForward, description.layers[layer].feedForward) {
        case (.gated(let gated), .gated(_, let activation, _)):
            multiplyGated(tile, input, gated, activation)
            down = gated.down
        case (.plain(let up, let last), .plain(_, let activation, _)):
            multiply(tile, input, up, into: tile.first)
            // A gate of ones.
            tile.second.update(repeating: 1, count: rows * up.outputs)
            activate(activation, gate: tile.first, up: tile.second, count: rows * up.outputs)
            down = last
        default: preconditionFailure("experts are run by themselves, and weights follow the description")
        }
        add(layer, tile, tile.packed(tile.first, rows: rows, inputs: down.inputs), down, norm: own.normAfterFeedForward, to: residual)
    }

    /// act(gate(x)) · up(x) into the tile's first wide rows.
    func multiplyGated(_ tile: ForwardTile, _ input: PackedRows, _ gated: DecoderWeights.Gated, _ activation: Activation) {
        multiply(tile, input, gated.gate, into: tile.first)
        multiply(tile, input, gated.up, into: tile.second)
        activate(activation, gate: tile.first, up: tile.second, count: input.rows * gated.gate.outputs)
    }

    private func activate(_ activation: Activation, gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int) {
        switch activation {
        case .silu: rowKernels.swiGLU(gate: gate, up: up, count: count)
        case .geluTanh: rowKernels.geGLU(gate: gate, up: up, count: count)
        case .reluSquared:
            // What is not a number stays so.
            for index in 0..<count where !gate[index].isNaN {
                let x = max(gate[index], 0)
                gate[index] = x * x * up[index]
            }
        case .clampedSwish(let slope, let limit):
            rowKernels.clampedSwiGLU(gate: gate, up: up, count: count, slope: slope, limit: limit)
        }
    }

    /// residual += scale · norm(W x + b); added by the product itself where nothing comes between.
    private func add(
        _ layer: Int, _ tile: ForwardTile, _ input: PackedRows, _ projection: DecoderWeights.Projection, norm weight: WeightVector?,
        to residual: UnsafeMutablePointer<Float>
    ) {
        if weight == nil, projection.bias == nil, description.layers[layer].residualScale == 1 {
            return tile.multiply(input, projection.matrix, into: residual, adding: true)
        }
        multiply(tile, input, projection, into: tile.branch)
        add(layer, tile.branch, rows: input.rows, norm: weight, to: residual)
    }

    /// residual += scale · norm(branch); the branch's own room is written.
    func add(
        _ layer: Int, _ branch: UnsafeMutablePointer<Float>, rows: Int, norm weight: WeightVector?,
        to residual: UnsafeMutablePointer<Float>
    ) {
        if weight != nil { norm(weight, branch, rows: rows, into: branch) }
        let scale = Float(description.layers[layer].residualScale)
        for index in 0..<rows * description.hiddenSize { residual[index] += scale * branch[index] }
    }
}
