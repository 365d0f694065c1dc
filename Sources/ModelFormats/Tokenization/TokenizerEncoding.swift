/// Tokens and the part of the text each one touches.
public struct EncodedText: Hashable, Sendable {
    public let ids: [Int32]
    /// For each token the Unicode scalars of the text it holds at least one byte of.
    ///
    /// Units: scalars from the beginning of the text (Python's `str` indices). When a scalar's bytes are split over
    /// several tokens, all of them touch it.
    public let scalarRanges: [Range<Int>]
}

extension Tokenizer {
    /// The tokens of `text`.
    ///
    /// - Complexity: O(n log n) in the longest piece, O(n) in everything else.
    public func encode(_ text: String) -> [Int32] { tokens(prepared(text, tracksOrigins: false)).ids }

    /// The tokens of `text` and the scalars each one touches. Costs as `encode`.
    public func encodeWithOffsets(_ text: String) -> EncodedText {
        let prepared = prepared(text, tracksOrigins: true)
        let (ids, ranges) = tokens(prepared)
        return EncodedText(ids: ids, scalarRanges: Self.scalarRanges(ranges, prepared))
    }

    private func prepared(_ text: String, tracksOrigins: Bool) -> PreparedText {
        // Where the text begins can be lost when it is normalised.
        let needsOrigins = splitter.asksForOrigins && !normalization.steps.isEmpty
        var prepared = PreparedText(text, tracksOrigins: tracksOrigins || needsOrigins)
        matchers.written.cut(&prepared)
        prepared = normalization.normalize(prepared)
        matchers.normalized.cut(&prepared)
        return splitter.rewritten(prepared)
    }

    /// The tokens and the bytes of the prepared text that each one stands for.
    private func tokens(_ prepared: PreparedText) -> (ids: [Int32], ranges: [Range<Int>]) {
        var output = TokenStream(byteCount: prepared.bytes.count)
        // Of their own, or each piece would copy the whole tokenizer.
        let (splitter, encoder) = (splitter, encoder)
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                if let token = segment.token {
                    output.append(token, segment.range)
                } else {
                    splitter.forEachPiece(of: segment.range, in: bytes) { piece in
                        encoder.forEachPart(of: piece, in: bytes) { output.append(piece: $0, of: bytes, encoder: encoder) }
                    }
                }
            }
        }
        return (output.ids, output.ranges)
    }

    /// Counts the scalars (bytes that do not continue one) that begin before each token's first and last byte.
    private static func scalarRanges(_ ranges: [Range<Int>], _ prepared: PreparedText) -> [Range<Int>] {
        var (position, begun) = (0, 0)
        /// The scalars that begin before a byte. Tokens ascend, but for a few that the unknown token is among.
        func scalars(before byte: Int) -> Int {
            while position < byte {
                if prepared.bytes[position] & 0xC0 != 0x80 { begun += 1 }
                position += 1
            }
            while position > byte {
                position -= 1
                if prepared.bytes[position] & 0xC0 != 0x80 { begun -= 1 }
            }
            return begun
        }
        return ranges.map { range in
            // A token without bytes of its own, which white space taken by another one leaves, touches nothing.
            if range.isEmpty { return scalars(before: range.lowerBound)..<scalars(before: range.lowerBound) }
            let startsInside = prepared.bytes[range.lowerBound] & 0xC0 == 0x80
            let lower = scalars(before: range.lowerBound) - (startsInside ? 1 : 0)
            return prepared.origin(of: lower..<scalars(before: range.upperBound))
        }
    }
}

/// The growing output of one text, which remembers pieces it has seen.
///
/// The memory is a direct-mapped table: a piece's hash picks its one slot, the newer piece takes it. A slot points into
/// the text and into the output, so remembering a piece copies nothing.
private struct TokenStream {
    private struct Slot {
        var text = 0..<0
        var output = 0..<0
    }

    private(set) var ids: [Int32] = []
    private(set) var ranges: [Range<Int>] = []
    private var slots: [Slot]
    private var scratch = PieceEncoder.Scratch()

    init(byteCount: Int) {
        var count = 16
        while count < byteCount / 8 && count < 1 << 15 { count *= 2 }
        slots = Array(repeating: Slot(), count: count)
    }

    mutating func append(_ token: Int32, _ range: Range<Int>) {
        ids.append(token)
        ranges.append(range)
    }

    mutating func append(piece: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, encoder: PieceEncoder) {
        let text = UnsafeBufferPointer(rebasing: bytes[piece])
        let slot = Self.hash(text) & (slots.count - 1)
        let seen = slots[slot]
        if seen.text.count == text.count, bytes[seen.text].elementsEqual(text) {
            for index in seen.output { append(ids[index], Self.moved(ranges[index], by: piece.lowerBound - seen.text.lowerBound)) }
            return
        }
        let first = ids.count
        encoder.encode(text, with: &scratch, into: &ids, &ranges)
        for index in first..<ids.count { ranges[index] = Self.moved(ranges[index], by: piece.lowerBound) }
        slots[slot] = Slot(text: piece, output: first..<ids.count)
    }

    private static func moved(_ range: Range<Int>, by distance: Int) -> Range<Int> {
        range.lowerBound + distance..<range.upperBound + distance
    }

    /// FNV-1a.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash >> 32 ^ hash)
    }
}
