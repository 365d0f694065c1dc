/// A text as the published scorers see it, one Unicode scalar after the other: "é" in one scalar is not "é" in two, and a
/// carriage return does not hide a newline.
typealias ScalarText = [Unicode.Scalar]

extension Array where Element == Unicode.Scalar {
    /// The words between white space.
    var words: [ScalarText] { split(whereSeparator: \.isPythonSpace).map(Array.init) }

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
