import AttentionCore
import AttentionKernels

/// Keys and values of every layer for the positions seen so far.
///
/// Shapes: each layer's keys and values are [keyValueHeads][capacity][d]: a head's rows are next to each other, as the kernel streams
/// them. Keys are stored rotated. A row that is not finite is read as NaN throughout in every format but FP32, which keeps it as it is.
///
/// One call at a time: a prefill, a reset or an eviction while another call uses the cache stops the program with a sentence that says
/// so, in release builds too. A call that throws leaves the chunks that went through every layer, and nothing of the one that did not;
/// `reset()` makes the cache empty again.
public final class KeyValueCache: @unchecked Sendable {
    /// How numbers are kept. Memory: 4 d, 2 d or d + 4 bytes a row.
    public typealias Format = RowFormat

    public let capacity: Int
    public let format: Format
    /// Rows held: the positions seen, less what was evicted. To be read between calls, as all of the cache.
    public internal(set) var count = 0
    /// The position of the next token.
    public internal(set) var position = 0
    /// The length of the sequence that the first prefill knew of. Units: tokens.
    var firstLength = 0
    /// The longest sequence that was known of as rows were computed. Units: tokens.
    var longestLength = 0
    private let use = ExclusiveUse(of: "a KeyValueCache")
    private let layers: Int
    private let keyValueHeads: Int
    let headDimension: Int
    /// Of each layer that has one; such a layer reads its last rows alone. Units: tokens.
    let windows: [Int?]
    /// [layer][keys, values][head][capacity][d], of the format's bytes each.
    private let numbers: AlignedBuffer<UInt8>
    /// [layer][keys, values][head][capacity] where the format has scales.
    private let scales: AlignedBuffer<Float>

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    convenience init(_ description: DecoderDescription, capacity: Int, format: Format = .fp32) throws(InputError) {
        try self.init(
            extents: (description.layerCount, description.keyValueHeads, description.headDimension),
            windows: description.layers.map(\.attention.window), capacity: capacity, format: format)
    }

    /// Memory is taken as positions come: a capacity costs addresses only.
    private init(
        extents: (layers: Int, heads: Int, dimension: Int), windows: [Int?], capacity: Int, format: Format
    ) throws(InputError) {
        self.capacity = capacity
        self.windows = windows
        self.format = format
        (layers, keyValueHeads, headDimension) = extents
        let purpose = "keys and values of \(capacity) positions"
        numbers = try AlignedBuffer(
            extents: layers, 2 * capacity, keyValueHeads, headDimension, format.numberBytes, of: purpose, reserving: true)
        scales = try AlignedBuffer(
            extents: format.hasScales ? layers : 0, 2 * capacity, keyValueHeads, of: purpose, reserving: true)
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

    /// Forgets the latest positions, as if their tokens had not been seen.
    ///
    /// - Precondition: there are as many.
    public func removeLast(_ positions: Int) {
        exclusively {
            precondition((0...count).contains(positions), "only positions that are held can be removed")
            count -= positions
            position -= positions
        }
    }

    /// Bytes of keys and values, whatever part of the capacity is filled.
    public var bytes: Int { 4 * scales.count + numbers.count }

    /// Bytes of the keys and values of the rows that are held: what one more token reads.
    public var bytesHeld: Int { count * 2 * layers * keyValueHeads * (headDimension * format.numberBytes + (format.hasScales ? 4 : 0)) }

    /// Layers, and key-value heads of each.
    var extents: (layers: Int, heads: Int) { (layers, keyValueHeads) }

    /// Which of the two numbers of a position is meant.
    enum Part: Int { case keys, values }

    /// Some rows of a layer as they are kept.
    func stored(_ part: Part, layer: Int, rows: Range<Int>) -> StoredRows {
        let first = index(layer, part, head: 0, row: rows.lowerBound)
        return StoredRows(
            format: format, numbers: place(first), scales: format.hasScales ? UnsafePointer(scales.base + first) : nil,
            heads: keyValueHeads, rows: rows.count, dimension: headDimension, headStride: capacity)
    }

    /// Copies rows [rows][keyValueHeads · d] of keys and values behind those that are held, the first at index `first`.
    func store(layer: Int, first: Int, rows: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
        for head in 0..<keyValueHeads {
            for row in 0..<rows {
                let source = (row * keyValueHeads + head) * headDimension
                store(keys + source, at: index(layer, .keys, head: head, row: first + row))
                store(values + source, at: index(layer, .values, head: head, row: first + row))
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
            extents: (layers, keyValueHeads, headDimension), windows: windows, capacity: remaining + room, format: format)
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
        (smaller.firstLength, smaller.longestLength) = (firstLength, longestLength)
        return smaller
    }

    /// A cache that holds the first positions of this one, which stays as it is.
    ///
    /// Complexity: O(bytes of the positions).
    /// - Precondition: this cache holds as many, from position 0 on, and the copy has room for them.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package func copy(first positions: Int, capacity: Int) throws(InputError) -> KeyValueCache {
        try exclusively { () throws(InputError) in
            precondition(
                count == position && (0...count).contains(positions) && positions <= capacity, "only positions that are held can be copied")
            let copy = try KeyValueCache(
                extents: (layers, keyValueHeads, headDimension), windows: windows, capacity: capacity, format: format)
            for (layer, part) in (0..<layers).flatMap({ layer in [(layer, Part.keys), (layer, .values)] }) {
                for head in 0..<keyValueHeads {
                    let (source, target) = (index(layer, part, head: head, row: 0), copy.index(layer, part, head: head, row: 0))
                    copy.place(target).copyMemory(from: place(source), byteCount: positions * rowBytes)
                    if format.hasScales { (copy.scales.base + target).update(from: scales.base + source, count: positions) }
                }
            }
            (copy.count, copy.position) = (positions, positions)
            (copy.firstLength, copy.longestLength) = (firstLength, longestLength)
            return copy
        }
    }

    // MARK: Places

    /// A row's place among the rows of all layers.
    private func index(_ layer: Int, _ part: Part, head: Int, row: Int) -> Int {
        ((2 * layer + part.rawValue) * keyValueHeads + head) * capacity + row
    }

    private var rowBytes: Int { headDimension * format.numberBytes }

    private func place(_ index: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(numbers.base + index * rowBytes) }

    private func store(_ row: UnsafePointer<Float>, at index: Int) {
        format.keep(row, count: headDimension, numbers: place(index), scale: format.hasScales ? scales.base + index : nil)
    }

    private func copy(_ source: Int, of other: KeyValueCache, to target: Int) {
        place(target).copyMemory(from: other.place(source), byteCount: rowBytes)
        if format.hasScales { scales[target] = other.scales[source] }
    }
}
