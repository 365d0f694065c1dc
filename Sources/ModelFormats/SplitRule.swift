/// How a text is cut into pieces before byte pairs are merged; no token crosses a cut.
///
/// Each rule is one published regular expression, scanned by hand. `tokenizer.json` names a rule by its pattern's text.
enum SplitRule: Hashable, Sendable {
    /// GPT-2: digits in runs, contractions in lower case, only a space may lead a word.
    case gpt2
    /// Llama 3 (digits up to three) and Qwen2 (single digits): any character but newline, letter and digit may lead a
    /// word; punctuation takes the newlines after it.
    case cased(digits: Int)

    /// Pattern → rule.
    static let patterns: [String: SplitRule] = [
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
            .cased(digits: 3),
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
            .cased(digits: 1),
    ]
}

/// Finds the pieces of UTF-8 text under one rule.
struct PieceScanner {
    /// What the patterns can tell apart.
    private enum Kind { case letter, number, space, newline, other }

    private static let space = UInt8(ascii: " ")

    let rule: SplitRule
    /// Valid UTF-8.
    let bytes: UnsafeBufferPointer<UInt8>
    /// Scanning stops here, as if the text ended.
    let end: Int

    /// The end of the piece that begins at `start`. O(piece), or O(run) where white space begins.
    func pieceEnd(from start: Int) -> Int {
        if let end = contraction(start) { return end }
        let (kind, next) = scalar(start)
        switch kind {
        case .letter: return run(of: .letter, from: next)
        case .number: return number(from: next)
        case .other: return rule != .gpt2 && starts(.letter, next) ? run(of: .letter, from: next) : symbols(from: next)
        case .newline: return whiteSpace(start, next)
        case .space: return afterSpace(start, next)
        }
    }

    /// A space may lead the piece after it: any space a word (except in GPT-2), U+0020 also symbols (in GPT-2: and all).
    private func afterSpace(_ start: Int, _ next: Int) -> Int {
        guard next < end else { return next }
        let isPlain = bytes[start] == Self.space
        let (kind, after) = scalar(next)
        switch kind {
        case .letter where isPlain || rule != .gpt2: return run(of: .letter, from: after)
        case .number where isPlain && rule == .gpt2: return run(of: .number, from: after)
        case .other where isPlain: return symbols(from: after)
        default: return whiteSpace(start, next)
        }
    }

    private func number(from position: Int) -> Int {
        guard case .cased(let digits) = rule else { return run(of: .number, from: position) }
        var position = position
        for _ in 1..<digits {
            guard position < end, case (.number, let next) = scalar(position) else { break }
            position = next
        }
        return position
    }

    private func symbols(from position: Int) -> Int {
        let symbolsEnd = run(of: .other, from: position)
        return rule == .gpt2 ? symbolsEnd : run(of: .newline, from: symbolsEnd)
    }

    /// White space that leads nothing. Up to its last newline (not in GPT-2); else all of it at the end of the text;
    /// else all but the last character, which the next piece may take.
    private func whiteSpace(_ start: Int, _ next: Int) -> Int {
        var position = start
        var last = start
        var afterNewline: Int?
        while position < end {
            let (kind, next) = scalar(position)
            guard kind == .space || kind == .newline else { break }
            if kind == .newline { afterNewline = next }
            last = position
            position = next
        }
        if rule != .gpt2, let afterNewline { return afterNewline }
        return position == end || last == start ? position : last
    }

    private func run(of kind: Kind, from position: Int) -> Int {
        var position = position
        while position < end, case (kind, let next) = scalar(position) { position = next }
        return position
    }

    private func starts(_ kind: Kind, _ position: Int) -> Bool { position < end && scalar(position).0 == kind }

    // MARK: Contractions

    /// The end of 's, 't, 're, 've, 'm, 'll or 'd.
    private func contraction(_ start: Int) -> Int? {
        guard bytes[start] == UInt8(ascii: "'"), start + 1 < end else { return nil }
        let first = folded(start + 1)
        if "stmd".utf8.contains(first) { return start + 2 }
        // U+017F, the long s, is an s when case is ignored.
        if rule != .gpt2, start + 2 < end, bytes[start + 1] == 0xC5, bytes[start + 2] == 0xBF { return start + 3 }
        guard start + 2 < end else { return nil }
        switch (first, folded(start + 2)) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }

    /// The byte, in lower case where the rule ignores case.
    private func folded(_ position: Int) -> UInt8 {
        let byte = bytes[position]
        return rule != .gpt2 && 0x41...0x5A ~= byte ? byte | 0x20 : byte
    }

    // MARK: Scalars

    private static let asciiKinds: [Kind] = (0..<128).map { kind(of: Unicode.Scalar(UInt8($0))) }

    private static func kind(of scalar: Unicode.Scalar) -> Kind {
        if scalar == "\n" || scalar == "\r" { return .newline }
        if scalar.properties.isWhitespace { return .space }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return .other
        }
    }

    /// The kind of the scalar at `position` and where the next one begins.
    private func scalar(_ position: Int) -> (Kind, Int) {
        let lead = bytes[position]
        if lead < 0x80 { return (Self.asciiKinds[Int(lead)], position + 1) }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(bytes[position + offset] & 0x3F) }
        return (Self.kind(of: Unicode.Scalar(value)!), position + length)
    }
}
