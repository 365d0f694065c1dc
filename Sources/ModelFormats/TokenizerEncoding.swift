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
    public func encode(_ text: String) -> [Int32] { tokens(prepared(text)).ids }

    /// The tokens of `text` and the scalars each one touches. Costs as `encode`.
    public func encodeWithOffsets(_ text: String) -> EncodedText {
        let prepared = prepared(text)
        let (ids, ends) = tokens(prepared)
        return EncodedText(ids: ids, scalarRanges: Self.scalarRanges(ends: ends, prepared))
    }

    private func prepared(_ text: String) -> PreparedText {
        var prepared = PreparedText(text)
        matchers.written.cut(&prepared)
        if composes { prepared = TextNormalizer.normalize(prepared) }
        matchers.normalized.cut(&prepared)
        return prepared
    }

    /// The tokens and where each one ends, in bytes of the prepared text.
    private func tokens(_ prepared: PreparedText) -> (ids: [Int32], ends: [Int]) {
        var output = TokenStream(byteCount: prepared.bytes.count)
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                if let token = segment.token {
                    output.append(token, end: segment.range.upperBound)
                } else {
                    encode(segment.range, of: bytes, into: &output)
                }
            }
        }
        return (output.ids, output.ends)
    }

    private func encode(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, into output: inout TokenStream) {
        let scanner = PieceScanner(rule: rule, bytes: bytes, end: range.upperBound)
        var start = range.lowerBound
        while start < range.upperBound {
            let end = scanner.pieceEnd(from: start)
            output.append(piece: start..<end, of: bytes, encoder: encoder, tokenBytes: tokenBytes)
            start = end
        }
    }

    /// Counts the scalars (bytes that do not continue one) that begin before each token's first and last byte.
    private static func scalarRanges(ends: [Int], _ prepared: PreparedText) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(ends.count)
        var begun = 0
        var position = 0
        for end in ends {
            let startsInside = prepared.bytes[position] & 0xC0 == 0x80
            let lower = startsInside ? begun - 1 : begun
            while position < end {
                if prepared.bytes[position] & 0xC0 != 0x80 { begun += 1 }
                position += 1
            }
            ranges.append(lower..<begun)
        }
        guard let origins = prepared.origins else { return ranges }
        return ranges.map { origins[$0.lowerBound].lowerBound..<origins[$0.upperBound - 1].upperBound }
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
    private(set) var ends: [Int] = []
    private var slots: [Slot]
    private var scratch = BytePairEncoder.Scratch()

    init(byteCount: Int) {
        var count = 16
        while count < byteCount / 8 && count < 1 << 15 { count *= 2 }
        slots = Array(repeating: Slot(), count: count)
    }

    mutating func append(_ token: Int32, end: Int) {
        ids.append(token)
        ends.append(end)
    }

    mutating func append(
        piece: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, encoder: BytePairEncoder, tokenBytes: [[UInt8]]
    ) {
        let text = UnsafeBufferPointer(rebasing: bytes[piece])
        let slot = Self.hash(text) & (slots.count - 1)
        let seen = slots[slot]
        if seen.text.count == text.count, bytes[seen.text].elementsEqual(text) {
            let shift = piece.lowerBound - seen.text.lowerBound
            for index in seen.output { append(ids[index], end: ends[index] + shift) }
            return
        }
        let first = ids.count
        encoder.encode(text, with: &scratch, into: &ids)
        var end = piece.lowerBound
        for index in first..<ids.count {
            end += tokenBytes[Int(ids[index])].count
            ends.append(end)
        }
        slots[slot] = Slot(text: piece, output: first..<ids.count)
    }

    /// FNV-1a.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash >> 32 ^ hash)
    }
}
