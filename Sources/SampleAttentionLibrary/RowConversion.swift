import AttentionCore
import Parallelism

/// Rows brought to FP32 and back: the kernel reads and writes floats.
struct RowConversion {
    let pool: WorkerPool

    /// Rows that a thread takes at a time.
    private static let tile = 256

    /// One batch of rows as floats: as they lie where they are that already and nothing multiplies them, else in `room`, head by head.
    ///
    /// - Throws: `InputError` (`systemFailure`) where the system does not give the memory.
    func floats(
        _ rows: Rows, batch: Int, times factor: Float? = nil, in room: FloatRoom, of purpose: String
    ) throws(InputError) -> HeadTensor {
        if factor == nil, let floats = rows.floats(batch) { return floats }
        let copy = try own(rows.extents, in: room, of: purpose)
        let dimension = rows.extents.dimension
        forEachRow(rows.extents) { head, token in
            let (source, target) = (rows.row(batch, head: head, token: token), copy.row(head: head, token: token))
            switch rows.elements {
            case .fp32:
                target.update(from: source.assumingMemoryBound(to: Float.self), count: dimension)
            case .bf16:
                let numbers = source.assumingMemoryBound(to: UInt16.self)
                for t in 0..<dimension { target[t] = Float(bitPattern: UInt32(numbers[t]) << 16) }
            }
            if let factor { for t in 0..<dimension { target[t] *= factor } }
        }
        return copy.readOnly
    }

    /// Where the kernel writes one batch of the output: into it where it holds floats, else into `room`.
    ///
    /// - Throws: `InputError` (`systemFailure`) where the system does not give the memory.
    func target(_ rows: Rows, batch: Int, in room: FloatRoom) throws(InputError) -> MutableHeadTensor {
        if let floats = try rows.mutableFloats(batch) { return floats }
        return try own(rows.extents, in: room, of: "output rows")
    }

    /// Writes what the kernel left in memory of its own.
    func finish(_ output: HeadTensor, _ rows: Rows, batch: Int) {
        guard rows.elements == .bf16 else { return }
        let dimension = rows.extents.dimension
        forEachRow(rows.extents) { head, token in
            let source = output.row(head: head, token: token)
            let target = rows.row(batch, head: head, token: token).assumingMemoryBound(to: UInt16.self)
            for t in 0..<dimension { target[t] = Self.rounded(source[t]) }
        }
    }

    /// To nearest, ties to even; what is not a number stays so.
    private static func rounded(_ number: Float) -> UInt16 {
        let bits = number.bitPattern
        if number.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }

    private func own(_ extents: RowExtents, in room: FloatRoom, of purpose: String) throws(InputError) -> MutableHeadTensor {
        let count = extents.heads * extents.tokens * extents.dimension
        return try MutableHeadTensor(
            UnsafeMutableBufferPointer(start: room.make(extents.heads, extents.tokens, extents.dimension, of: purpose), count: count),
            heads: extents.heads, tokens: extents.tokens, dimension: extents.dimension, headStride: extents.tokens * extents.dimension,
            tokenStride: extents.dimension)
    }

    private func forEachRow(_ extents: RowExtents, _ body: @Sendable (_ head: Int, _ token: Int) -> Void) {
        let tiles = (extents.tokens + Self.tile - 1) / Self.tile
        pool.run(extents.heads * tiles) { _, index in
            let (head, first) = (index / tiles, index % tiles * Self.tile)
            for token in first..<min(first + Self.tile, extents.tokens) { body(head, token) }
        }
    }
}
