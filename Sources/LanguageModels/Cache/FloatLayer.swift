import AttentionCore
import AttentionKernels

/// A layer's keys and values as floats, which is how a prefill's kernels read them: in place where the cache holds floats, else written
/// anew for each layer.
///
/// Memory: 8 · keyValueHeads · d bytes a row where the cache does not hold floats.
final class FloatLayer: @unchecked Sendable {
    private let cache: KeyValueCache
    private let rows: Int
    /// [keys, values][head][rows][d].
    private let storage: AlignedBuffer<Float>

    /// - Parameter rows: that are ever asked for.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(of cache: KeyValueCache, rows: Int) throws(InputError) {
        self.cache = cache
        self.rows = rows
        let rowFloats = cache.extents.heads * cache.headDimension
        storage = try AlignedBuffer(
            extents: cache.format == .fp32 ? 0 : 2, rows, rowFloats, of: "a layer of \(rows) positions in floats", reserving: true)
    }

    /// The first `count` rows; valid until the next layer's are asked for.
    func keysAndValues(layer: Int, rows count: Int, kernel: AttentionKernel) -> (keys: HeadTensor, values: HeadTensor) {
        precondition(count <= rows, "there is room for what was announced")
        return (tensor(.keys, layer: layer, rows: count, kernel: kernel), tensor(.values, layer: layer, rows: count, kernel: kernel))
    }

    private func tensor(_ part: KeyValueCache.Part, layer: Int, rows count: Int, kernel: AttentionKernel) -> HeadTensor {
        let stored = cache.stored(part, layer: layer, rows: 0..<count)
        if let floats = stored.floats { return floats }
        let headStride = rows * stored.dimension
        let base = storage.base + part.rawValue * stored.heads * headStride
        kernel.widen(stored, into: base, headStride: headStride)
        return HeadTensor(
            base: base, heads: stored.heads, tokens: count, dimension: stored.dimension, headStride: headStride,
            tokenStride: stored.dimension)
    }
}
