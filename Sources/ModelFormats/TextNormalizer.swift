import Foundation

/// A text on its way to tokens: its bytes after normalisation, cut where added tokens stand.
struct PreparedText {
    /// A stretch of `bytes` that is one added token, or (nil) text still to be split into pieces.
    struct Segment {
        var range: Range<Int>
        var token: Int32?
    }

    var bytes: [UInt8]
    var segments: [Segment]
    /// For each scalar of `bytes` the scalars of the original text it came from; nil when nothing changed.
    var origins: [Range<Int>]?

    init(_ text: String) {
        bytes = Array(text.utf8)
        segments = bytes.isEmpty ? [] : [Segment(range: 0..<bytes.count)]
    }
}

/// Unicode normalisation form C, keeping account of where every scalar came from.
enum TextNormalizer {
    /// Composes the segments that are not tokens.
    static func normalize(_ prepared: PreparedText) -> PreparedText {
        // Scalars below U+0300, whose first byte is below 0xCC, are composed already.
        guard prepared.bytes.contains(where: { $0 >= 0xCC }) else { return prepared }
        var result = prepared
        result.bytes = []
        result.segments = []
        var origins: [Range<Int>] = []
        var scalarsRead = 0
        for segment in prepared.segments {
            let start = result.bytes.count
            let text = String(decoding: prepared.bytes[segment.range], as: UTF8.self)
            if segment.token != nil || isUnchanged(text) {
                copy(text, at: scalarsRead, into: &result.bytes, &origins)
            } else {
                compose(text, at: scalarsRead, into: &result.bytes, &origins)
            }
            scalarsRead += text.unicodeScalars.count
            result.segments.append(.init(range: start..<result.bytes.count, token: segment.token))
        }
        result.origins = origins
        return result
    }

    /// The text in normalisation form C.
    ///
    /// Decomposed first, because composing alone leaves a Hangul syllable and a final consonant after it apart.
    static func composed(_ text: String) -> String {
        text.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping
    }

    private static func isUnchanged(_ text: String) -> Bool { ExactText(composed(text)) == ExactText(text) }

    private static func copy(
        _ text: some StringProtocol, at position: Int, into bytes: inout [UInt8], _ origins: inout [Range<Int>]
    ) {
        bytes.append(contentsOf: text.utf8)
        for offset in 0..<text.unicodeScalars.count { origins.append(position + offset..<position + offset + 1) }
    }

    /// Goes grapheme by grapheme, because scalars never compose across their boundaries (UAX #29).
    private static func compose(
        _ text: String, at position: Int, into bytes: inout [UInt8], _ origins: inout [Range<Int>]
    ) {
        var position = position
        for character in text {
            let original = String(character)
            let composed = composed(original)
            let count = original.unicodeScalars.count
            if ExactText(composed) == ExactText(original) {
                copy(original, at: position, into: &bytes, &origins)
            } else {
                bytes.append(contentsOf: composed.utf8)
                for _ in composed.unicodeScalars { origins.append(position..<position + count) }
            }
            position += count
        }
    }
}
