/// The scalars that a part of a regular expression takes: one class, such as `\s` or `[^\r\n\p{L}]`.
struct ScalarSet: Hashable, Sendable {
    enum Item: Hashable, Sendable {
        case range(ClosedRange<UInt32>)
        /// Bits of `GeneralCategory`.
        case categories(UInt32)
        case whiteSpace
        /// A part of a word, as Unicode Technical Standard #18 has it.
        case word
        /// `\w` of Oniguruma: without joiners, and outside of classes with the superscripts and fractions of Latin-1.
        case patternWord(isInClass: Bool)
        case han
        case set(ScalarSet)
    }

    private var items: [Item]
    private var isNegated: Bool
    /// Sets that a scalar must be in as well (`&&`).
    private var others: [ScalarSet]
    /// The answers for ASCII, a bit a scalar.
    private var ascii: [UInt64] = [0, 0]

    init(_ items: [Item], isNegated: Bool = false, and others: [ScalarSet] = []) {
        self.items = items
        self.isNegated = isNegated
        self.others = others
        for value in UInt8(0)..<128 where decides(Unicode.Scalar(value)) { ascii[Int(value / 64)] |= 1 << UInt64(value % 64) }
    }

    init(_ item: Item, isNegated: Bool = false) { self.init([item], isNegated: isNegated) }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 128 ? ascii[Int(scalar.value / 64)] & (1 << UInt64(scalar.value % 64)) != 0 : decides(scalar)
    }

    private func decides(_ scalar: Unicode.Scalar) -> Bool {
        (items.contains { $0.contains(scalar) } && others.allSatisfy { $0.contains(scalar) }) != isNegated
    }
}

extension ScalarSet.Item {
    fileprivate func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .range(let range): range.contains(scalar.value)
        case .categories(let bits): bits & GeneralCategory.bit(scalar) != 0
        case .whiteSpace: scalar.properties.isWhitespace
        case .word: ScalarClass.word.contains(scalar)
        case .patternWord(let isInClass):
            switch scalar.value {
            case 0xB2, 0xB3, 0xB9, 0xBC...0xBE: !isInClass
            case 0x200C, 0x200D: false
            default: ScalarClass.word.contains(scalar)
            }
        case .han: Self.hanRanges.contains { $0.contains(scalar.value) }
        case .set(let set): set.contains(scalar)
        }
    }

    /// The script Han (Unicode 15.1, Scripts.txt).
    private static let hanRanges: [ClosedRange<UInt32>] = [
        0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029, 0x3038...0x303B,
        0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3, 0x16FF0...0x16FF1, 0x20000...0x2A6DF,
        0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D,
        0x30000...0x3134A, 0x31350...0x323AF,
    ]
}

/// General categories as bits.
enum GeneralCategory {
    private static let names = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So",
        "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]

    /// The bits of a category such as "Lu" or a group of them such as "L"; nil for another name.
    static func bits(_ name: String) -> UInt32? {
        let bits = names.enumerated().reduce(UInt32(0)) { $1.element == name || $1.element.prefix(1) == name ? $0 | 1 << $1.offset : $0 }
        return bits == 0 ? nil : bits
    }

    static func bit(_ scalar: Unicode.Scalar) -> UInt32 {
        let index =
            switch scalar.properties.generalCategory {
            case .uppercaseLetter: 0
            case .lowercaseLetter: 1
            case .titlecaseLetter: 2
            case .modifierLetter: 3
            case .otherLetter: 4
            case .nonspacingMark: 5
            case .spacingMark: 6
            case .enclosingMark: 7
            case .decimalNumber: 8
            case .letterNumber: 9
            case .otherNumber: 10
            case .connectorPunctuation: 11
            case .dashPunctuation: 12
            case .openPunctuation: 13
            case .closePunctuation: 14
            case .initialPunctuation: 15
            case .finalPunctuation: 16
            case .otherPunctuation: 17
            case .mathSymbol: 18
            case .currencySymbol: 19
            case .modifierSymbol: 20
            case .otherSymbol: 21
            case .spaceSeparator: 22
            case .lineSeparator: 23
            case .paragraphSeparator: 24
            case .control: 25
            case .format: 26
            case .surrogate: 27
            case .privateUse: 28
            default: 29
            }
        return 1 << index
    }
}
