/// How a text is cut into pieces before byte pairs are merged; no token crosses a cut.
///
/// Each rule is one published regular expression, scanned by hand. `tokenizer.json` names a rule by its pattern's text.
enum SplitRule: Hashable, Sendable {
    /// GPT-2: digits in runs, contractions in lower case, only a space may lead a word.
    case gpt2
    /// Llama 3 (digits up to three) and Qwen2 (single digits): any character but newline, letter and digit may lead a
    /// word; punctuation takes the newlines after it.
    case cased(digits: Int)

    private static let contractions = "'s|'t|'re|'ve|'m|'ll|'d"
    private static let gpt2Pattern = contractions + #"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    private static let casedHead = "(?i:\(contractions))" + #"|[^\r\n\p{L}\p{N}]?\p{L}+|"#
    private static let casedTail = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Spellings of parts of the patterns and the plainer ones that match the same text where they stand.
    ///
    /// A possessive part changes nothing where what follows it cannot begin with what it has taken.
    private static let synonyms = [
        ("'(?i:[sdmt]|ll|ve|re)", "(?i:\(contractions))"), ("'(?:[sdmt]|ll|ve|re)", contractions),
        (#"?+\p{L}"#, #"?\p{L}"#), (#"?+\p{N}"#, #"?\p{N}"#), ("?+[^", "?[^"), (#"\p{L}++"#, #"\p{L}+"#), (#"\p{N}++"#, #"\p{N}+"#),
        (#"\p{N}]++"#, #"\p{N}]+"#), (#"[\r\n]*+"#, #"[\r\n]*"#), (#"[\r\n]++"#, #"[\r\n]+"#), (#"\s*[\r\n]|"#, #"\s*[\r\n]+|"#),
        (#"|\s+(?!\S)|\s++"#, #"|\s+(?!\S)|\s+"#),
    ]

    /// The rule that `pattern` spells, or nil when it is not known.
    init?(pattern: String) {
        let plain = Self.synonyms.reduce(pattern) { $0.replacing($1.0, with: $1.1) }
        if plain == Self.gpt2Pattern {
            self = .gpt2
            return
        }
        guard plain.hasPrefix(Self.casedHead), plain.hasSuffix(Self.casedTail),
            let digits = ScalarRun(pattern: String(plain.dropFirst(Self.casedHead.count).dropLast(Self.casedTail.count))),
            digits.scalars == .number
        else { return nil }
        self = .cased(digits: digits.most)
    }
}

/// Finds the pieces of a text under one rule.
struct PieceScanner {
    private static let space = UInt8(ascii: " ")

    let rule: SplitRule
    let scalars: TextScalars
    /// Scanning stops here, as if the text ended.
    let end: Int

    private var bytes: UnsafeBufferPointer<UInt8> { scalars.bytes }
    private func scalar(_ position: Int) -> (ScalarKind, Int) { scalars.kind(at: position) }

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
        var count = 1
        while count < digits, position < end, case (.number, let next) = scalar(position) {
            position = next
            count += 1
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

    private func run(of kind: ScalarKind, from position: Int) -> Int {
        var position = position
        while position < end, case (kind, let next) = scalar(position) { position = next }
        return position
    }

    private func starts(_ kind: ScalarKind, _ position: Int) -> Bool { position < end && scalar(position).0 == kind }

    // MARK: Contractions

    /// The end of 's, 't, 're, 've, 'm, 'll or 'd.
    private func contraction(_ start: Int) -> Int? {
        guard bytes[start] == UInt8(ascii: "'"), start + 1 < end else { return nil }
        let first = folded(start + 1)
        if "stmd".utf8.contains(first) { return start + 2 }
        // U+017F, the long s, is an s when case is ignored.
        if rule != .gpt2, !scalars.areSpelled, start + 2 < end, bytes[start + 1] == 0xC5, bytes[start + 2] == 0xBF { return start + 3 }
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
}
