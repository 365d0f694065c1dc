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
        let own = weights.layers[layer]
        let (first, position) = (cache.count, cache.position)
        let source = SharedPointer(hidden)
        let queries = SharedPointer(buffers.queries.base)
        let tiles = ForwardTiles(buffers, count: count, kernel: kernel)
        forEachTile(count) { worker, row, rows in
            let tile = tiles[worker]
            let (query, key, value) = (queries.base + row * own.query.outputs, tile.first, tile.second)
            norm(own.normBeforeAttention, source.base + row * d.hiddenSize, rows: rows, into: tile.normed)
            let input = tile.packed(tile.normed, rows: rows, inputs: d.hiddenSize)
            multiply(tile, input, own.query, into: query)
            finishQueries(layer, query, rows: rows, firstPosition: position + row, rotary: rotary)
            multiply(tile, input, own.key, into: key)
            multiply(tile, input, own.value, into: value)
            finishKeys(layer, key, rows: rows, firstPosition: position + row, rotary: rotary)
            cache.store(layer: layer, first: first + row, rows: rows, keys: key, values: value)
        }
    }

    /// Norms, rotates and scales the projected queries of some rows.
    func finishQueries(_ layer: Int, _ queries: UnsafeMutablePointer<Float>, rows: Int, firstPosition: Int, rotary: RotaryEmbedding?) {
        let d = description
        let own = weights.layers[layer]
        for index in 0..<rows {
            let (query, position) = (queries + index * own.query.outputs, firstPosition + index)
            if let kind = d.layers[layer].attention.queryKeyNorm { norm(query, kind, own.queryNorm, heads: d.queryHeads) }
            if let rotary { rotate(query, heads: d.queryHeads, position: position, rotary) }
            if let factor = queryFactor(layer, position: position) { for at in 0..<own.query.outputs { query[at] *= factor } }
        }
    }

    /// Norms and rotates the projected keys of some rows.
    func finishKeys(_ layer: Int, _ keys: UnsafeMutablePointer<Float>, rows: Int, firstPosition: Int, rotary: RotaryEmbedding?) {
        let own = weights.layers[layer]
        let heads = description.keyValueHeads
        for index in 0..<rows {
            let key = keys + index * own.key.outputs
            if let kind = description.layers[layer].attention.queryKeyNorm { norm(key, kind, own.keyNorm, heads: heads) }
            if let rotary { rotate(key, heads: heads, position: firstPosition + index, rotary) }
        }
    }

    /// What rotated queries are multiplied by so that the kernel's q · k / √d is the layer's score; nil for one.
    func queryFactor(_ layer: Int, position: Int) -> Float? {
        let attention = description.layers[layer].attention
        let scale = attention.scoreScale * Double(description.headDimension).squareRoot()
        guard abs(scale - 1) > 1e-12 || attention.positionScale != nil else { return nil }
        return Float(scale * (attention.positionScale?.scale(position: position) ?? 1))
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
