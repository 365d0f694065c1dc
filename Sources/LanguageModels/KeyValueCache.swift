import AttentionCore
import ModelFormats

/// Keys and values of every layer for the positions seen so far.
///
/// Shapes: each layer's keys and values are [capacity][keyValueHeads · d], FP32; keys are stored rotated.
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

    var rowFloats: Int { keyValueHeads * headDimension }

    func keyRow(layer: Int, position: Int) -> UnsafeMutablePointer<Float> {
        storage.base + (layer * 2 * capacity + position) * rowFloats
    }

    func valueRow(layer: Int, position: Int) -> UnsafeMutablePointer<Float> {
        storage.base + ((layer * 2 + 1) * capacity + position) * rowFloats
    }

    func keys(layer: Int, tokens: Int) -> HeadTensor {
        HeadTensor(projection: keyRow(layer: layer, position: 0), heads: keyValueHeads, tokens: tokens, dimension: headDimension)
    }

    func values(layer: Int, tokens: Int) -> HeadTensor {
        HeadTensor(projection: valueRow(layer: layer, position: 0), heads: keyValueHeads, tokens: tokens, dimension: headDimension)
    }
}
