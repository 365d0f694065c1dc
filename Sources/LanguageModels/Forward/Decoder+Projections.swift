import AttentionCore
import AttentionKernels

extension Decoder {
    /// Norm, then Q into the buffers and K, V into the cache; Q and K normed and rotated as the layer says, Q scaled so that the kernel's
    /// q · k / √d is the layer's score.
    func project(
        _ layer: Int, count: Int, hidden: UnsafeMutablePointer<Float>, buffers: ForwardBuffers, cache: KeyValueCache,
        rotary: RotaryEmbedding?
    ) {
        let d = description
        let attention = d.layers[layer].attention
        let own = weights.layers[layer]
        let (first, position) = (cache.count, cache.position)
        let source = SharedPointer(hidden)
        let queries = SharedPointer(buffers.queries.base)
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        let scale = attention.scoreScale * Double(d.headDimension).squareRoot()
        let isScaled = abs(scale - 1) > 1e-12 || attention.positionScale != nil
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let (query, key, value) = (queries.base + row * own.query.outputs, tile.first, tile.second)
            norm(own.normBeforeAttention, source.base + row * d.hiddenSize, rows: rows, into: tile.normed)
            let input = tile.packed(tile.normed, rows: rows, inputs: d.hiddenSize)
            multiply(tile, input, own.query, into: query)
            multiply(tile, input, own.key, into: key)
            multiply(tile, input, own.value, into: value)
            for index in 0..<rows {
                let (ownQuery, ownKey) = (query + index * own.query.outputs, key + index * own.key.outputs)
                if let kind = attention.queryKeyNorm {
                    norm(ownQuery, kind, own.queryNorm, heads: d.queryHeads)
                    norm(ownKey, kind, own.keyNorm, heads: d.keyValueHeads)
                }
                if let rotary {
                    rotate(ownQuery, heads: d.queryHeads, position: position + row + index, rotary)
                    rotate(ownKey, heads: d.keyValueHeads, position: position + row + index, rotary)
                }
                if isScaled {
                    let factor = Float(scale * (attention.positionScale?.scale(position: position + row + index) ?? 1))
                    for at in 0..<own.query.outputs { ownQuery[at] *= factor }
                }
            }
            cache.store(layer: layer, first: first + row, rows: rows, keys: key, values: value)
        }
    }

    private func rotate(_ vector: UnsafeMutablePointer<Float>, heads: Int, position: Int, _ rotary: RotaryEmbedding) {
        let (cosine, sine) = (rotary.cosine(position), rotary.sine(position))
        for head in 0..<heads {
            rowKernels.rotateHalves(vector + head * description.headDimension, cosine: cosine, sine: sine, half: rotary.half)
        }
    }

    /// Norms the heads of one row of queries or keys.
    private func norm(
        _ vector: UnsafeMutablePointer<Float>, _ kind: AttentionDescription.QueryKeyNorm, _ weight: WeightVector?, heads: Int
    ) {
        guard let weight = weight?.base else { return }
        let dimension = description.headDimension
        switch kind {
        case .acrossHeads: norm(vector, weight: weight, count: heads * dimension, into: vector)
        case .perHead:
            for head in 0..<heads {
                norm(vector + head * dimension, weight: weight, count: dimension, into: vector + head * dimension)
            }
        }
    }
}
