import Foundation

/// Unicode normalisation form C, keeping account of where every scalar came from.
enum TextNormalizer {
    private struct Change {
        let range: Range<Int>
        let text: String
    }

    /// Composes the segments that are not tokens.
    ///
    /// - Complexity: a look at every byte; work only where a scalar stands that may change.
    static func normalize(_ prepared: PreparedText) -> PreparedText {
        var changes: [Change] = []
        var memory: [ExactText: String] = [:]
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments where segment.token == nil { findChanges(segment.range, of: bytes, &memory, into: &changes) }
        }
        if changes.isEmpty { return prepared }
        var builder = PreparedText.Builder(prepared)
        var next = 0
        for segment in prepared.segments {
            var position = segment.range.lowerBound
            while next < changes.count, changes[next].range.upperBound <= segment.range.upperBound {
                builder.copy(position..<changes[next].range.lowerBound)
                builder.replace(changes[next].range, with: changes[next].text)
                position = changes[next].range.upperBound
                next += 1
            }
            builder.copy(position..<segment.range.upperBound)
            builder.endSegment(token: segment.token)
        }
        return builder.text
    }

    /// Looks at stretches of scalars that may change, each with the scalar before it, to which it may be composed.
    private static func findChanges(
        _ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, _ memory: inout [ExactText: String], into changes: inout [Change]
    ) {
        let scalars = TextScalars(bytes)
        var before = range.lowerBound
        var position = range.lowerBound
        while position < range.upperBound {
            // Scalars below U+0300, whose first byte is below 0xCC, are composed already.
            let (isStable, next) =
                bytes[position] < 0xCC ? (true, position + (bytes[position] < 0x80 ? 1 : 2)) : stability(position, scalars)
            if isStable {
                (before, position) = (position, next)
                continue
            }
            var end = next
            while end < range.upperBound, bytes[end] >= 0xCC, case (false, let next) = stability(end, scalars) { end = next }
            compose(before..<end, of: bytes, &memory, into: &changes)
            (before, position) = (end, end)
        }
    }

    private static func stability(_ position: Int, _ scalars: TextScalars) -> (Bool, next: Int) {
        let (scalar, next) = scalars.scalar(at: position)
        return (!CompositionTable.mayChange(scalar), next)
    }

    /// Goes grapheme by grapheme, because scalars never compose across their boundaries (UAX #29).
    private static func compose(
        _ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, _ memory: inout [ExactText: String], into changes: inout [Change]
    ) {
        var position = range.lowerBound
        for character in String(decoding: bytes[range], as: UTF8.self) {
            let original = ExactText(String(character))
            let composed = memory[original] ?? NormalizationForm.c.normalized(original.text)
            if memory.count < 1 << 12 { memory[original] = composed }
            let end = position + original.text.utf8.count
            if ExactText(composed) != original { changes.append(Change(range: position..<end, text: composed)) }
            position = end
        }
    }
}
