/// What the split patterns can tell apart.
enum ScalarKind: Sendable {
    case letter, number, space, newline, other

    init(_ scalar: Unicode.Scalar) {
        if scalar == "\n" || scalar == "\r" {
            self = .newline
        } else if scalar.properties.isWhitespace {
            self = .space
        } else {
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
            case .decimalNumber, .letterNumber, .otherNumber: self = .number
            default: self = .other
            }
        }
    }
}

/// Reads scalars out of bytes: of UTF-8 text, or of bytes that are spelt with one character each (`ByteAlphabet`).
struct TextScalars {
    private static let asciiKinds: [ScalarKind] = (0..<128).map { ScalarKind(Unicode.Scalar(UInt8($0))) }
    private static let spelledKinds: [ScalarKind] = ByteAlphabet.spellings.map { ScalarKind($0) }

    /// Valid UTF-8, whichever way it is read.
    let bytes: UnsafeBufferPointer<UInt8>
    /// True after a byte-level step, for which every byte is a character of its own.
    let areSpelled: Bool
    /// The kinds of first bytes that are whole scalars.
    private let kinds: [ScalarKind]

    init(_ bytes: UnsafeBufferPointer<UInt8>, areSpelled: Bool = false) {
        self.bytes = bytes
        self.areSpelled = areSpelled
        kinds = areSpelled ? Self.spelledKinds : Self.asciiKinds
    }

    /// The kind of the scalar at `position` and where the next one begins.
    func kind(at position: Int) -> (ScalarKind, next: Int) {
        let lead = Int(bytes[position])
        if lead < kinds.count { return (kinds[lead], position + 1) }
        let (scalar, next) = scalar(at: position)
        return (ScalarKind(scalar), next)
    }

    /// The scalar at `position` and where the next one begins.
    func scalar(at position: Int) -> (Unicode.Scalar, next: Int) {
        if areSpelled { return (ByteAlphabet.spellings[Int(bytes[position])], position + 1) }
        return Self.scalar(at: position, of: bytes)
    }

    /// The UTF-8 scalar at `position` of `bytes` and where the next one begins.
    static func scalar(at position: Int, of bytes: UnsafeBufferPointer<UInt8>) -> (Unicode.Scalar, next: Int) {
        let lead = bytes[position]
        if lead < 0x80 { return (Unicode.Scalar(lead), position + 1) }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(bytes[position + offset] & 0x3F) }
        return (Unicode.Scalar(value)!, position + length)
    }

    /// The UTF-8 scalar that ends before `position`, and where it begins.
    func scalar(before position: Int) -> (Unicode.Scalar, start: Int) {
        var start = position - 1
        while bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return (scalar(at: start).0, start)
    }
}
