/// Characters that patterns name as a class.
enum ScalarClass: String, Hashable, Sendable {
    case number = #"\p{N}"#
    case letter = #"\p{L}"#
    case decimal = #"\d"#
    case asciiDigit = "[0-9]"
    case whiteSpace = #"\s"#
    case newline = #"[\r\n]"#
    case word = #"\w"#

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .number: ScalarKind(scalar) == .number
        case .letter: ScalarKind(scalar) == .letter
        case .decimal: scalar.properties.generalCategory == .decimalNumber
        case .asciiDigit: "0"..."9" ~= scalar
        case .whiteSpace: scalar.properties.isWhitespace
        case .newline: scalar == "\r" || scalar == "\n"
        case .word: Self.isWord(scalar)
        }
    }

    /// Part of a word: a letter, mark, decimal digit, connector or joiner (Unicode Technical Standard #18, `\w`).
    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.properties.isAlphabetic || scalar.properties.isJoinControl || scalar.isMark { return true }
        let category = scalar.properties.generalCategory
        return category == .decimalNumber || category == .connectorPunctuation
    }
}

/// One to `most` characters of a class in a row, as many as there are: the patterns `\p{N}`, `\p{N}+` and `\p{N}{1,3}` and their kind.
struct ScalarRun: Hashable, Sendable {
    let scalars: ScalarClass
    let most: Int

    init(_ scalars: ScalarClass, most: Int) {
        self.scalars = scalars
        self.most = most
    }

    /// The run that `pattern` spells, or nil when it is not one.
    ///
    /// `{1,3}+` is a repeated interval, as in the reference's regular expressions, and no possessive one.
    init?(pattern: String) {
        let bracket = pattern.hasPrefix("[") ? pattern.firstIndex(of: "]").map { pattern.index(after: $0) } : nil
        let end = bracket ?? pattern.index(pattern.startIndex, offsetBy: pattern.hasPrefix(#"\p"#) ? 5 : 2, limitedBy: pattern.endIndex)
        guard let end, let scalars = ScalarClass(rawValue: String(pattern[..<end])) else { return nil }
        switch pattern[end...] {
        case "": self.init(scalars, most: 1)
        case "+", "++": self.init(scalars, most: .max)
        case let interval where interval.hasPrefix("{1,"):
            guard let close = interval.firstIndex(of: "}"), let most = Int(interval[..<close].dropFirst(3)), most > 0 else { return nil }
            let rest = interval[close...].dropFirst()
            guard rest.isEmpty || rest == "+" else { return nil }
            self.init(scalars, most: rest.isEmpty ? most : .max)
        default: return nil
        }
    }
}

/// What a split looks for in a text.
enum SplitPattern: Hashable, Sendable {
    case rule(SplitRule)
    case run(ScalarRun)
    /// These bytes, wherever they stand.
    case text([UInt8])
    case expression(ScalarExpression)

    /// The regular expression `pattern`, or nil when it holds what is not known. Those of most models are scanned by hand.
    init?(expression pattern: String) {
        if let run = ScalarRun(pattern: pattern) {
            self = .run(run)
        } else if let rule = SplitRule(pattern: pattern) {
            self = .rule(rule)
        } else if let expression = ScalarExpression(pattern: pattern) {
            self = .expression(expression)
        } else {
            return nil
        }
    }

    /// How many times longer a text can become at most when matches become `text`; of what is no plain text, one byte may match.
    func growth(replacedBy text: String) -> Int {
        let least = if case .text(let bytes) = self { max(1, bytes.count) } else { 1 }
        return max(1, (text.utf8.count + least - 1) / least)
    }

    /// Calls `body` with every match and every stretch between matches, in order; together they are the range.
    func forEachSpan(of range: Range<Int>, in scalars: TextScalars, _ body: (Range<Int>, _ isMatch: Bool) -> Void) {
        var unmatched = range.lowerBound
        var position = range.lowerBound
        while position < range.upperBound {
            let end = matchEnd(from: position, in: range, scalars)
            guard end > position else {
                position = scalars.scalar(at: position).next
                continue
            }
            if unmatched < position { body(unmatched..<position, false) }
            body(position..<end, true)
            position = end
            unmatched = end
        }
        if unmatched < range.upperBound { body(unmatched..<range.upperBound, false) }
    }

    /// The end of the match that begins at `start`; `start` itself when none does.
    private func matchEnd(from start: Int, in range: Range<Int>, _ scalars: TextScalars) -> Int {
        let limit = range.upperBound
        switch self {
        case .expression(let expression): return expression.matchEnd(from: start, in: range, scalars) ?? start
        case .rule(let rule): return PieceScanner(rule: rule, scalars: scalars, end: limit).pieceEnd(from: start)
        case .text(let text):
            let end = start + text.count
            return end <= limit && scalars.bytes[start..<end].elementsEqual(text) ? end : start
        case .run(let run):
            var (position, count) = (start, 0)
            while position < limit, count < run.most, case let (scalar, next) = scalars.scalar(at: position), run.scalars.contains(scalar) {
                (position, count) = (next, count + 1)
            }
            return position
        }
    }
}
