import AttentionCore
import ModelFormats
import Parallelism

/// Keys and values of every layer for the positions seen so far.
///
/// Shapes: each layer's keys and values are [keyValueHeads][capacity][d]: a head's rows are next to each other, as the kernel streams
/// them. Keys are stored rotated. In INT8 every row has a scale of its own, and a layer is turned to floats when it is read.
///
/// One call at a time: a prefill, a reset or an eviction while another call uses the cache stops the program with a sentence that says
/// so, in release builds too. A call that throws leaves the chunks that went through every layer, and nothing of the one that did not;
/// `reset()` makes the cache empty again.
public final class KeyValueCache: @unchecked Sendable {
    /// How numbers are kept.
    public enum Format: String, Sendable, CaseIterable, Codable {
        case fp32
        /// Eight bits a number and a scale a row of d: x ≈ scale · q, scale = max |x| / 127. Memory: d + 4 bytes a row instead of 4 d, and
        /// one layer in floats. A row that is not finite is read as NaN throughout.
        case int8
    }

    public let capacity: Int
    public let format: Format
    /// Rows held: the positions seen, less what was evicted.
    public internal(set) var count = 0
    /// The position of the next token.
    public internal(set) var position = 0
    private let use = ExclusiveUse(of: "a KeyValueCache")
    private let layers: Int
    private let keyValueHeads: Int
    private let headDimension: Int
    /// FP32: [layer][keys, values][head][capacity][d]. INT8: one layer of it, the one that was read last.
    private let storage: AlignedBuffer<Float>
    /// INT8 only: as above, and a scale a row.
    private let quantized: AlignedBuffer<Int8>
    private let scales: AlignedBuffer<Float>

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    convenience init(configuration: ModelConfiguration, capacity: Int, format: Format = .fp32) throws(InputError) {
        try self.init(
            extents: (configuration.layerCount, configuration.keyValueHeads, configuration.headDimension), capacity: capacity,
            format: format)
    }

    /// Memory is taken as positions come: a capacity costs addresses only.
    private init(
        extents: (layers: Int, heads: Int, dimension: Int), capacity: Int, format: Format
    ) throws(InputError) {
        self.capacity = capacity
        self.format = format
        (layers, keyValueHeads, headDimension) = extents
        let purpose = "keys and values of \(capacity) positions"
        let (floatLayers, byteLayers) = format == .fp32 ? (layers, 0) : (1, layers)
        storage = try AlignedBuffer(extents: floatLayers, 2 * capacity, keyValueHeads, headDimension, of: purpose, reserving: true)
        quantized = try AlignedBuffer(extents: byteLayers, 2 * capacity, keyValueHeads, headDimension, of: purpose, reserving: true)
        scales = try AlignedBuffer(extents: byteLayers, 2 * capacity, keyValueHeads, of: purpose, reserving: true)
    }

    /// Forgets every position; the memory stays.
    public func reset() {
        exclusively {
            count = 0
            position = 0
        }
    }

    /// Runs `body`, which fills or reads the cache; stops the program when some other call does so at the time.
    func exclusively<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result { try use.during(body) }

    /// Bytes of keys and values, whatever part of the capacity is filled.
    public var bytes: Int { 4 * (storage.count + scales.count) + quantized.count }

    /// Floats of one position's keys, or values, over all heads.
    var rowFloats: Int { keyValueHeads * headDimension }

    /// Copies rows [rows][keyValueHeads · d] of keys and values behind those that are held, the first at index `first`.
    func store(layer: Int, first: Int, rows: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
        for head in 0..<keyValueHeads {
            for row in 0..<rows {
                let source = row * rowFloats + head * headDimension
                for (part, numbers) in [(Part.keys, keys), (.values, values)] {
                    store(numbers + source, at: index(layer, part, head: head, row: first + row))
                }
            }
        }
    }

    /// A cache that holds only some rows of each layer and key-value head; tokens to come have the positions that they would have
    /// had.
    ///
    /// - Parameters:
    ///   - kept: rows of [layer][head], as many everywhere.
    ///   - room: for how many more tokens.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    func keeping(_ kept: [[[Int]]], room: Int) throws(InputError) -> KeyValueCache {
        let remaining = kept[0][0].count
        precondition(kept.allSatisfy { $0.allSatisfy { $0.count == remaining } }, "every head keeps as many rows")
        let smaller = try KeyValueCache(
            extents: (layers, keyValueHeads, headDimension), capacity: remaining + room, format: format)
        for (layer, heads) in kept.enumerated() {
            for (head, rows) in heads.enumerated() {
                for part in [Part.keys, .values] {
                    for (target, row) in rows.enumerated() {
                        smaller.copy(
                            index(layer, part, head: head, row: row), of: self,
                            to: smaller.index(layer, part, head: head, row: target))
                    }
                }
            }
        }
        (smaller.count, smaller.position) = (remaining, position)
        return smaller
    }

    /// The first `rows` rows. In INT8 they are written anew, by the pool, where the last layer that was read stood.
    func keys(layer: Int, rows: Int, pool: WorkerPool) -> HeadTensor { tensor(layer, .keys, rows: rows, pool: pool) }
    func values(layer: Int, rows: Int, pool: WorkerPool) -> HeadTensor { tensor(layer, .values, rows: rows, pool: pool) }

    /// Layers, and key-value heads of each.
    var extents: (layers: Int, heads: Int) { (layers, keyValueHeads) }

    // MARK: Places

    private enum Part: Int { case keys, values }

    /// A row's place among the rows of all layers.
    private func index(_ layer: Int, _ part: Part, head: Int, row: Int) -> Int {
        ((2 * layer + part.rawValue) * keyValueHeads + head) * capacity + row
    }

    private func store(_ numbers: UnsafePointer<Float>, at index: Int) {
        guard format == .int8 else { return (storage.base + index * headDimension).update(from: numbers, count: headDimension) }
        var largest: Float = 0
        var isFinite = true
        for t in 0..<headDimension {
            largest = max(largest, abs(numbers[t]))
            isFinite = isFinite && numbers[t].isFinite
        }
        let target = quantized.base + index * headDimension
        guard isFinite else {
            // A row that is not a number anywhere is none when it is read: the prefill says so.
            scales[index] = .nan
            return target.update(repeating: 1, count: headDimension)
        }
        let scale = largest / 127
        scales[index] = scale
        // The quotient of a scale that is rounded to few bits may be beyond 127.
        for t in 0..<headDimension { target[t] = scale > 0 ? Int8(max(-127, min(127, (numbers[t] / scale).rounded()))) : 0 }
    }

    private func copy(_ source: Int, of other: KeyValueCache, to target: Int) {
        if format == .int8 {
            scales[target] = other.scales[source]
            (quantized.base + target * headDimension).update(from: other.quantized.base + source * headDimension, count: headDimension)
        } else {
            (storage.base + target * headDimension).update(from: other.storage.base + source * headDimension, count: headDimension)
        }
    }

    private func tensor(_ layer: Int, _ part: Part, rows: Int, pool: WorkerPool) -> HeadTensor {
        let start = index(format == .fp32 ? layer : 0, part, head: 0, row: 0)
        if format == .int8 {
            let piece = 1024
            let pieces = (rows + piece - 1) / piece
            pool.run(keyValueHeads * pieces) { _, task in
                let (head, first) = (task / pieces, task % pieces * piece)
                let target = self.index(0, part, head: head, row: 0)
                for row in first..<min(first + piece, rows) {
                    self.restore(
                        self.index(layer, part, head: head, row: row),
                        into: self.storage.base + (target + row) * self.headDimension)
                }
            }
        }
        return HeadTensor(
            base: storage.base + start * headDimension, heads: keyValueHeads, tokens: rows, dimension: headDimension,
            headStride: capacity * headDimension, tokenStride: headDimension)
    }

    private func restore(_ index: Int, into target: UnsafeMutablePointer<Float>) {
        let (scale, source) = (scales[index], quantized.base + index * headDimension)
        for t in 0..<headDimension { target[t] = scale * Float(source[t]) }
    }
}
