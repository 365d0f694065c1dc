import AttentionCore

/// A token of `added_tokens`: matched as written, wherever it stands, before the text is split into pieces.
struct AddedToken: Sendable {
    let id: Int32
    let text: String
    /// True for control tokens such as "<|end_of_text|>", which decoding may leave out.
    let isSpecial: Bool
    /// True when the token is looked for after normalisation.
    let isNormalized: Bool

    init(_ fields: JSONFields) throws(InputError) {
        id = Int32(try fields.integer("id", in: 0...ModelConfiguration.Limit.vocabulary))
        text = try fields.string("content")
        isSpecial = try fields.bool("special", default: false)
        isNormalized = try fields.bool("normalized", default: !isSpecial)
        for flag in ["single_word", "lstrip", "rstrip"] where try fields.bool(flag, default: false) {
            throw fields.error(flag, "only false is supported", code: .unsupported)
        }
    }
}

/// Finds added tokens in text: the leftmost first, and of those that begin at one place the longest.
struct AddedTokenMatcher: Sendable {
    /// For each first byte the tokens that begin with it, longest first.
    private var byFirstByte: [[(bytes: [UInt8], id: Int32)]] = Array(repeating: [], count: 256)
    private var isEmpty = true

    init(_ tokens: [(text: String, id: Int32)]) {
        for token in tokens {
            let bytes = Array(token.text.utf8)
            byFirstByte[Int(bytes[0])].append((bytes, token.id))
            isEmpty = false
        }
        for first in byFirstByte.indices { byFirstByte[first].sort { $0.bytes.count > $1.bytes.count } }
    }

    /// Cuts the segments that are still text where tokens stand. O(bytes · tokens that share a first byte).
    func cut(_ prepared: inout PreparedText) {
        if isEmpty { return }
        var segments: [PreparedText.Segment] = []
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                if segment.token == nil {
                    cut(segment.range, of: bytes, into: &segments)
                } else {
                    segments.append(segment)
                }
            }
        }
        prepared.segments = segments
    }

    private func cut(
        _ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, into segments: inout [PreparedText.Segment]
    ) {
        var textStart = range.lowerBound
        var position = range.lowerBound
        while position < range.upperBound {
            guard let (id, length) = match(at: position, end: range.upperBound, bytes) else {
                position += 1
                continue
            }
            if textStart < position { segments.append(.init(range: textStart..<position)) }
            segments.append(.init(range: position..<position + length, token: id))
            position += length
            textStart = position
        }
        if textStart < range.upperBound { segments.append(.init(range: textStart..<range.upperBound)) }
    }

    private func match(at position: Int, end: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> (Int32, Int)? {
        for (candidate, id) in byFirstByte[Int(bytes[position])] {
            let stop = position + candidate.count
            if stop <= end && bytes[position..<stop].elementsEqual(candidate) { return (id, candidate.count) }
        }
        return nil
    }
}
