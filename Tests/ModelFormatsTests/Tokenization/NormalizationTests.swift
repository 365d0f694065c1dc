import Foundation
import ModelFormats
import Testing

/// Normalisation form C looks only at scalars that may change: what it passes over must be what it would not have changed.
@Suite struct NormalizationTests {
    private static func tokenizer() throws -> Tokenizer {
        var fixture = TokenizerFixture(pattern: nil)
        fixture.root["normalizer"] = ["type": "NFC"]
        return try fixture.tokenizer()
    }

    /// Assigned scalars of the planes that hold letters, one of 40 of the ideographs and syllables, which come by the thousands.
    private static let scalars: [Unicode.Scalar] = (UInt32(0x300)..<0x30000).compactMap(Unicode.Scalar.init).filter { scalar in
        switch scalar.value {
        case 0x3400..<0xA000, 0xAC00..<0xD7A4, 0x17000..<0x18D00, 0x20000..<0x2F800: scalar.value % 40 == 0
        default: scalar.properties.generalCategory != .unassigned && scalar.properties.generalCategory != .privateUse
        }
    }

    private static func expectComposed(_ pieces: [String], _ tokenizer: Tokenizer) {
        let composed = pieces.map { $0.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping }
        let text = tokenizer.decode(tokenizer.encode(pieces.joined(separator: "\n")))
        let own = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(own.count == composed.count)
        for (own, expected) in zip(own, composed) where !own.unicodeScalars.elementsEqual(expected.unicodeScalars) {
            Issue.record("\(own.unicodeScalars.map(\.value)) is not \(expected.unicodeScalars.map(\.value))")
        }
    }

    /// Alone, decomposed, and decomposed with a mark between that is in the way of composing.
    @Test func everyScalarIsComposedAsInFull() throws {
        let tokenizer = try Self.tokenizer()
        Self.expectComposed(Self.scalars.map { String($0) }, tokenizer)
        let parts = Self.scalars.map { String($0).decomposedStringWithCanonicalMapping }
        Self.expectComposed(parts, tokenizer)
        Self.expectComposed(
            parts.filter { $0.unicodeScalars.count > 1 }.map { part in
                String(part.unicodeScalars.first!) + "\u{323}" + String(String.UnicodeScalarView(part.unicodeScalars.dropFirst()))
            }, tokenizer)
    }

    /// A text with nothing to compose is not copied, and one with something keeps account of where everything came from.
    @Test func offsetsPointIntoTheTextAsItWas() throws {
        let tokenizer = try Self.tokenizer()
        #expect(tokenizer.encodeWithOffsets("’q").scalarRanges == [0..<1, 0..<1, 0..<1, 1..<2])
        // e and its accent become two bytes; the Hangul parts three.
        #expect(tokenizer.encodeWithOffsets("xe\u{301}y").scalarRanges == [0..<1, 1..<3, 1..<3, 3..<4])
        #expect(tokenizer.encodeWithOffsets("\u{1100}\u{1161}\u{11A8}.").scalarRanges == [0..<3, 0..<3, 0..<3, 3..<4])
    }
}
