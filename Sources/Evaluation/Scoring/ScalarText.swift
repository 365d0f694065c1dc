/// A text as the published scorers see it, one Unicode scalar after the other: "é" in one scalar is not "é" in two, and a
/// carriage return does not hide a newline.
typealias ScalarText = [Unicode.Scalar]

extension Array where Element == Unicode.Scalar {
    /// The words between white space.
    var words: [ScalarText] { split(whereSeparator: \.isPythonSpace).map(Array.init) }

    /// Without white space at either end.
    var trimmed: ScalarText {
        guard let first = firstIndex(where: { !$0.isPythonSpace }), let last = lastIndex(where: { !$0.isPythonSpace }) else { return [] }
        return Array(self[first...last])
    }

    /// In lower case, as Python's `str.lower()`: a sigma at the end of a word has a form of its own.
    var lowered: ScalarText {
        indices.flatMap { index -> ScalarText in
            if self[index] == "Σ", endsWord(index) { return ["ς"] }
            return Array(self[index].properties.lowercaseMapping.unicodeScalars)
        }
    }

    /// Letters stand before and not behind, marks between them aside (Unicode's condition Final_Sigma).
    private func endsWord(_ index: Int) -> Bool {
        func isLetter(_ scalars: some Sequence<Unicode.Scalar>) -> Bool {
            scalars.first { !$0.properties.isCaseIgnorable }?.properties.isCased ?? false
        }
        return isLetter(self[..<index].reversed()) && !isLetter(self[(index + 1)...])
    }

    /// Runs of decimal digits, in any script.
    var numbers: [ScalarText] { split { $0.properties.generalCategory != .decimalNumber }.map(Array.init) }
}

extension Unicode.Scalar {
    /// What Python's `str.split()` splits at: Unicode's white space and the four information separators.
    var isPythonSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }

    /// A letter or a number, which is what `\w` means in Python, underscores aside. Combining marks are neither.
    var isWordCharacter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: properties.numericType != nil
        }
    }

    /// One of the 32 ASCII characters that are neither letters, digits, spaces nor controls (Python's `string.punctuation`).
    var isASCIIPunctuation: Bool { (0x21...0x7E).contains(value) && !isWordCharacter }
}
