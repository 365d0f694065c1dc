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
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments where segment.token == nil { findChanges(segment.range, of: bytes, into: &changes) }
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

    /// The text in normalisation form C.
    ///
    /// Decomposed first, because composing alone leaves a Hangul syllable and a final consonant after it apart.
    static func composed(_ text: String) -> String {
        text.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping
    }

    /// Looks at stretches of scalars that may change, each with the scalar before it, to which it may be composed.
    private static func findChanges(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, into changes: inout [Change]) {
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
            compose(before..<end, of: bytes, into: &changes)
            (before, position) = (end, end)
        }
    }

    private static func stability(_ position: Int, _ scalars: TextScalars) -> (Bool, next: Int) {
        let (scalar, next) = scalars.scalar(at: position)
        return (!CompositionTable.mayChange(scalar), next)
    }

    /// Goes grapheme by grapheme, because scalars never compose across their boundaries (UAX #29).
    private static func compose(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, into changes: inout [Change]) {
        var position = range.lowerBound
        for character in String(decoding: bytes[range], as: UTF8.self) {
            let original = String(character)
            let composed = composed(original)
            let end = position + original.utf8.count
            if ExactText(composed) != ExactText(original) { changes.append(Change(range: position..<end, text: composed)) }
            position = end
        }
    }
}

/// Which scalars normalisation form C may change or join to what stands before them; all others it leaves as they are.
///
/// Source: Unicode Standard Annex #15, quick check. Ranges hold more than they must where that makes them fewer.
enum CompositionTable {
    /// Combining class 0, yet composed to the scalar before, replaced by others, or never the outcome of composition.
    private static let starters: [ClosedRange<UInt32>] = [
        0x0374...0x0374, 0x037E...0x037E, 0x0387...0x0387, 0x0958...0x095F, 0x09BE...0x09BE, 0x09D7...0x09DF, 0x0A33...0x0A36,
        0x0A59...0x0A5E, 0x0B3E...0x0B3E, 0x0B56...0x0B5D, 0x0BBE...0x0BBE, 0x0BD7...0x0BD7, 0x0CC2...0x0CC2, 0x0CD5...0x0CD6,
        0x0D3E...0x0D3E, 0x0D57...0x0D57, 0x0DCF...0x0DCF, 0x0DDF...0x0DDF, 0x0F43...0x0F43, 0x0F4D...0x0F5C, 0x0F69...0x0F69,
        0x0F73...0x0F78, 0x0F81...0x0F81, 0x0F93...0x0F93, 0x0F9D...0x0FAC, 0x0FB5...0x0FB9, 0x102E...0x102E, 0x1161...0x1175,
        0x11A8...0x11C2, 0x1B35...0x1B35, 0x1F71...0x1F7D, 0x1FBB...0x1FBE, 0x1FC9...0x1FEF, 0x1FF9...0x2001, 0x2126...0x212B,
        0x2329...0x232A, 0x2ADC...0x2ADC, 0xF900...0xFAD9, 0xFB1D...0xFB1F, 0xFB2A...0xFB4E, 0x11127...0x11127, 0x1133E...0x1133E,
        0x11357...0x11357, 0x113B8...0x113C9, 0x114B0...0x114B0, 0x114BA...0x114BD, 0x115AF...0x115AF, 0x11930...0x11930,
        0x1611E...0x16129, 0x16D63...0x16D67, 0x1D15E...0x1D164, 0x1D1BB...0x1D1C0, 0x2F800...0x2FA1D,
    ]

    /// Nothing above is touched by composition.
    private static let end: UInt32 = 0x30000

    /// A bit a scalar.
    private static let bits: [UInt64] = {
        var bits = [UInt64](repeating: 0, count: Int(end / 64))
        func mark(_ value: UInt32) { bits[Int(value / 64)] |= 1 << UInt64(value % 64) }
        for range in starters { range.forEach(mark) }
        for value in 0..<end where Unicode.Scalar(value)?.properties.canonicalCombiningClass ?? .notReordered != .notReordered {
            mark(value)
        }
        return bits
    }()

    static func mayChange(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < end && bits[Int(scalar.value / 64)] & (1 << UInt64(scalar.value % 64)) != 0
    }
}
