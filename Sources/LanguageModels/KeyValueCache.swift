import AttentionCore
import ModelFormats

/// Keys and values of every layer for the positions seen so far.
///
/// Shapes: each layer's keys and values are [keyValueHeads][capacity][d], FP32: a head's rows are next to each other, as the
/// kernel streams them. Keys are stored rotated.
public final class KeyValueCache: @unchecked Sendable {
    public let capacity: Int
    /// Positions filled.
    public internal(set) var count = 0
    /// The rotation of each position up to the capacity.
    let rotary: RotaryEmbedding
    private let keyValueHeads: Int
    private let headDimension: Int
    private let storage: AlignedBuffer<Float>

    init(configuration: ModelConfiguration, capacity: Int) {
        self.capacity = capacity
        keyValueHeads = configuration.keyValueHeads
        headDimension = configuration.headDimension
        rotary = RotaryEmbedding(configuration: configuration, positions: capacity)
        storage = AlignedBuffer(count: configuration.layerCount * 2 * capacity * keyValueHeads * headDimension)
    }

    /// Forgets every position; the memory stays.
    public func reset() { count = 0 }

    /// Floats of one position's keys, or values, over all heads.
    var rowFloats: Int { keyValueHeads * headDimension }

    /// Copies rows [rows][keyValueHeads · d] of keys and values to positions `first ..< first + rows`.
    func store(layer: Int, first: Int, rows: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
        for head in 0..<keyValueHeads {
            for row in 0..<rows {
                let source = row * rowFloats + head * headDimension
                let target = (head * capacity + first + row) * headDimension
                (keyBase(layer) + target).update(from: keys + source, count: headDimension)
                (valueBase(layer) + target).update(from: values + source, count: headDimension)
            }
        }
    }

    func keys(layer: Int, tokens: Int) -> HeadTensor { tensor(keyBase(layer), tokens: tokens) }
    func values(layer: Int, tokens: Int) -> HeadTensor { tensor(valueBase(layer), tokens: tokens) }

    private func keyBase(_ layer: Int) -> UnsafeMutablePointer<Float> { storage.base + 2 * layer * capacity * rowFloats }
    private func valueBase(_ layer: Int) -> UnsafeMutablePointer<Float> { storage.base + (2 * layer + 1) * capacity * rowFloats }

    private func tensor(_ base: UnsafeMutablePointer<Float>, tokens: Int) -> HeadTensor {
        HeadTensor(
            base: base, heads: keyValueHeads, tokens: tokens, dimension: headDimension, headStride: capacity * headDimension,
            tokenStride: headDimension)
    }
}
