/// How many terminal columns a text takes: 2 for East Asian wide characters and emoji, 0 for combining marks.
///
/// Reference: Unicode Standard Annex 11, East Asian Width. Complexity: O(characters).
package enum DisplayWidth {
    /// The columns that `text` takes on one line.
    package static func of(_ text: String) -> Int {
        text.reduce(0) { $0 + columns($1) }
    }

    /// `text` on one line: control characters, which could move the cursor or colour the terminal, become spaces.
    package static func singleLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? " " : $0 }))
    }

    /// The longest beginning of `text` that fits `columns`, ending in "…" if anything was cut.
    package static func truncated(_ text: String, to columns: Int) -> String {
        guard of(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var kept = ""
        var width = 1
        for character in text {
            width += Self.columns(character)
            guard width <= columns else { break }
            kept.append(character)
        }
        return kept + "…"
    }

    private static func columns(_ character: Character) -> Int {
        let scalars = character.unicodeScalars
        // Variation selector 16 asks for the emoji form, which is wide; flags are pairs of regional indicators.
        if scalars.contains("\u{FE0F}") || scalars.contains(where: \.properties.isEmojiPresentation) { return 2 }
        return scalars.map(columns).max() ?? 0
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        if isControl(scalar) { return 0 }
        if scalar.isASCII { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return isWide(scalar) ? 2 : 1
        }
    }

    /// C0, DEL and C1, and the line and paragraph separators.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<32, 127..<160, 0x2028, 0x2029: true
        default: false
        }
    }

    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F,  // Hangul leading consonants
            0x2E80...0x303E,  // CJK radicals and punctuation
            0x3041...0x33FF,  // kana, compatibility forms
            0x3400...0x4DBF, 0x4E00...0x9FFF,  // ideographs
            0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,  // Yi, Hangul
            0xF900...0xFAFF, 0xFE30...0xFE6F,  // compatibility ideographs and forms
            0xFF01...0xFF60, 0xFFE0...0xFFE6,  // full-width forms
            0x20000...0x3FFFD:  // supplementary ideographs
            true
        default: false
        }
    }
}
