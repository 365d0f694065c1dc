import AttentionCore

/// The tokens that merging begins with, one for each symbol of a text, and what becomes of symbols that have none: nothing, unless the
/// model says otherwise.
struct SymbolTokens: Sendable {
    static let none: Int32 = -1

    enum Kind: Sendable {
        /// Every byte is a symbol, spelt with one character (`ByteAlphabet`). By byte: its token, and where it has none the tokens of
        /// the bytes of its spelling (`byte_fallback`; empty where one of those is missing too).
        case bytes(tokens: [Int32], fallbacks: [[Int32]])
        /// Every Unicode scalar is a symbol. `byteCodes`: by byte, the tokens that spell the bytes of scalars without a token
        /// (`byte_fallback`; nil where it is off).
        case scalars(ScalarTable, byteCodes: [Int32]?)
    }

    let kind: Kind
    /// `unk_token`, and whether one stands for several symbols in a row (`fuse_unk`).
    let unknown: Int32?
    let fusesUnknown: Bool

    /// The token of the symbol at `position`, `none` where it has none, and where the next symbol begins.
    func token(at position: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> (Int32, next: Int) {
        switch kind {
        case .bytes(let tokens, _): return (tokens[Int(bytes[position])], position + 1)
        case .scalars(let table, _):
            let (scalar, next) = TextScalars.scalar(at: position, of: bytes)
            return (table[scalar], next)
        }
    }

    /// Every byte a symbol.
    ///
    /// - Throws: `InputError` (`invalidData`) when no byte has a token, or the unknown token is needed and missing.
    static func bytes(_ vocabulary: Vocabulary, _ unknown: UnknownTokens) throws(InputError) -> SymbolTokens {
        let tokens = ByteAlphabet.spellings.map { vocabulary.id(String($0)) ?? none }
        let missing = tokens.indices.filter { tokens[$0] == none }
        guard missing.count < 256 else { throw vocabulary.place.error("must hold a token for a byte") }
        var fallbacks: [[Int32]] = Array(repeating: [], count: 256)
        if unknown.fallsBack {
            for byte in missing {
                let codes = String(ByteAlphabet.spellings[byte]).utf8.map { vocabulary.id(ByteCode.spelling($0)) }
                if codes.allSatisfy({ $0 != nil }) { fallbacks[byte] = codes.compactMap(\.self) }
            }
        }
        let needed = missing.first { fallbacks[$0].isEmpty }
        return SymbolTokens(
            kind: .bytes(tokens: tokens, fallbacks: fallbacks),
            unknown: try unknown.token(vocabulary, neededFor: needed.map { "byte \($0)" }), fusesUnknown: unknown.fuses)
    }

    /// Every Unicode scalar a symbol.
    ///
    /// - Throws: `InputError` (`invalidData`) when the unknown token is needed and missing.
    static func scalars(_ vocabulary: Vocabulary, _ unknown: UnknownTokens) throws(InputError) -> SymbolTokens {
        var table = ScalarTable()
        for (text, id) in vocabulary.ids {
            let scalars = text.text.unicodeScalars
            if let first = scalars.first, scalars.index(after: scalars.startIndex) == scalars.endIndex { table[first] = id }
        }
        let codes = vocabulary.byteCodes.map { $0 ?? none }
        let isComplete = codes.allSatisfy { $0 != none }
        return SymbolTokens(
            kind: .scalars(table, byteCodes: unknown.fallsBack ? codes : nil),
            unknown: try unknown.token(vocabulary, neededFor: unknown.fallsBack && isComplete ? nil : "some characters"),
            fusesUnknown: unknown.fuses)
    }
}

/// What a model says about symbols without a token.
struct UnknownTokens: Sendable {
    /// The text of the unknown token, if any.
    var text: String?
    /// `fuse_unk`: one for several symbols in a row.
    var fuses = false
    /// `byte_fallback`: the tokens of their bytes instead.
    var fallsBack = false
    /// The field that names the token, for errors.
    var field = "unk_token"

    fileprivate func token(_ vocabulary: Vocabulary, neededFor what: String?) throws(InputError) -> Int32? {
        guard let text, !text.isEmpty else { return nil }
        guard let id = vocabulary.id(text) else {
            guard let what else { return nil }
            throw InputError(
                .invalidData, file: vocabulary.place.file, field: field, value: "\"\(text)\"",
                rule: "must be a token of the vocabulary, which has none for \(what)")
        }
        return id
    }
}

/// Unicode scalar → token: pages of 256 that are there only where the vocabulary has tokens.
struct ScalarTable: Sendable {
    private static let pageSize = 256

    /// By page, where its tokens begin in `tokens`; the first page of `tokens` is empty and stands for all that are not there.
    private var pages = [Int32](repeating: 0, count: 0x110000 / pageSize)
    private var tokens = [Int32](repeating: SymbolTokens.none, count: pageSize)

    subscript(scalar: Unicode.Scalar) -> Int32 {
        get {
            let value = Int(scalar.value)
            return tokens[Int(pages[value / Self.pageSize]) + value % Self.pageSize]
        }
        set {
            let value = Int(scalar.value)
            if pages[value / Self.pageSize] == 0 {
                pages[value / Self.pageSize] = Int32(tokens.count)
                tokens += repeatElement(SymbolTokens.none, count: Self.pageSize)
            }
            tokens[Int(pages[value / Self.pageSize]) + value % Self.pageSize] = newValue
        }
    }
}
