/// Makes text of tokens: what each token's text is, and what becomes of the texts in a row.
struct Detokenizer: Sendable {
    /// How texts become bytes.
    enum Spelling: Sendable {
        /// Texts are written with a character for each byte (`ByteLevel`); what is not UTF-8 in the end becomes U+FFFD.
        case byteLevel
        /// Texts are as they stand. `fallsBack`: those such as "<0x0A>" are bytes; bytes in a row that are no UTF-8 become U+FFFD each.
        case plain(fallsBack: Bool)
    }

    /// A change of every token's text by itself.
    enum Change: Sendable {
        case replace(SplitPattern, with: String)
        case strip(Trimming)
    }

    /// Up to so many times `scalar` at the ends of a text.
    struct Trimming: Sendable {
        let scalar: Unicode.Scalar
        let start: Int
        let end: Int
    }

    /// What is done to each token's text, and to the whole text in the end.
    struct Steps: Sendable {
        var spelling = Spelling.plain(fallsBack: false)
        /// Changes of every token's text, before bytes are spelt.
        var changes: [Change] = []
        /// `Metaspace`: the mark that becomes a space; in the first token nothing, when `dropsFirst`.
        var mark: (scalar: Unicode.Scalar, dropsFirst: Bool)?
        /// What is taken from the ends of the whole text.
        var trimmings: [Trimming] = []
        /// Between tokens. The reference joins with spaces where there is no decoder.
        var separator = ""
    }

    /// By token, its bytes; none for ids that no token has.
    let texts: [[UInt8]]
    /// By token, its bytes when it comes first; nil where that makes no difference.
    let firstTexts: [[UInt8]]?
    /// By token, whether it is a byte that is put together with others.
    private let areBytes: [Bool]?
    let trimmings: [Trimming]
    let separator: [UInt8]

    init(_ vocabulary: Vocabulary, _ steps: Steps) {
        trimmings = steps.trimmings
        separator = Array(steps.separator.utf8)
        var bytes = [[UInt8]](repeating: [], count: vocabulary.texts.count)
        var first: [[UInt8]]? = (steps.mark?.dropsFirst ?? false) ? bytes : nil
        var areBytes: [Bool]?
        if case .plain(fallsBack: true) = steps.spelling { areBytes = Array(repeating: false, count: bytes.count) }
        for (id, text) in vocabulary.texts.enumerated() {
            guard let text else { continue }
            var changed = steps.changes.reduce(Array(text.utf8)) { $1.apply(to: $0) }
            if let mark = steps.mark {
                first?[id] = Self.replacing(mark.scalar, in: changed, with: "")
                changed = Self.replacing(mark.scalar, in: changed, with: " ")
            }
            switch steps.spelling {
            case .byteLevel: changed = ByteAlphabet.decode(String(decoding: changed, as: UTF8.self)) ?? changed
            case .plain(fallsBack: true):
                guard let byte = ByteCode.byte(changed) else { break }
                changed = [byte]
                areBytes?[id] = true
            case .plain: break
            }
            bytes[id] = changed
        }
        (texts, firstTexts, self.areBytes) = (bytes, first, areBytes)
    }

    func isByte(_ token: Int) -> Bool { areBytes?[token] ?? false }

    private static func replacing(_ mark: Unicode.Scalar, in bytes: [UInt8], with text: String) -> [UInt8] {
        let string = String(decoding: bytes, as: UTF8.self)
        return string.unicodeScalars.contains(mark) ? Array(string.replacing(String(mark), with: text).utf8) : bytes
    }
}

extension Detokenizer.Change {
    fileprivate func apply(to text: [UInt8]) -> [UInt8] {
        switch self {
        case .replace(let pattern, let replacement):
            var result: [UInt8] = []
            text.withUnsafeBufferPointer { bytes in
                pattern.forEachSpan(of: bytes.indices, in: TextScalars(bytes)) { span, isMatch in
                    if isMatch { result += replacement.utf8 } else { result += bytes[span] }
                }
            }
            return result
        case .strip(let trimming): return trimming.apply(to: text)
        }
    }
}

extension Detokenizer.Trimming {
    fileprivate func apply(to text: [UInt8]) -> [UInt8] {
        let own = Array(String(scalar).utf8)
        var rest = text[...]
        var count = 0
        while count < start, rest.starts(with: own) { (rest, count) = (rest.dropFirst(own.count), count + 1) }
        count = 0
        while count < end, rest.count >= own.count, rest.suffix(own.count).elementsEqual(own) {
            (rest, count) = (rest.dropLast(own.count), count + 1)
        }
        return Array(rest)
    }
}
