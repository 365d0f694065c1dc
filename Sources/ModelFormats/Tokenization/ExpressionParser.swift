/// A regular expression taken apart.
indirect enum ExpressionNode: Sendable {
    enum Greed: Sendable { case greedy, lazy, possessive }

    case set(ScalarSet)
    /// A scalar; `ignoringCase` its other cases too.
    case scalar(Unicode.Scalar, ignoringCase: Bool)
    case sequence([ExpressionNode])
    case alternatives([ExpressionNode])
    /// `most` nil: as many as there are.
    case repeated(ExpressionNode, least: Int, most: Int?, Greed)
    /// What must (or must not) stand ahead.
    case ahead(ExpressionNode, isNegative: Bool)
    case lineStart, lineEnd, textStart, textEnd

    /// True when it can match nothing at all.
    var canBeEmpty: Bool {
        switch self {
        case .set, .scalar: false
        case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
        case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
        case .repeated(let part, let least, _, _): least == 0 || part.canBeEmpty
        case .ahead, .lineStart, .lineEnd, .textStart, .textEnd: true
        }
    }
}

/// Reads the regular expressions that tokenizers cut text with, in Oniguruma's Ruby syntax: alternatives, groups, `(?i:…)`, look-ahead,
/// classes with `&&`, categories, and greedy, lazy and possessive repeats. What is not known gives nil: back references, captures that
/// are used, look-behind, scripts other than Han.
struct ExpressionParser {
    /// Longer or deeper ones are refused.
    private static let mostScalars = 1 << 13
    private static let mostDepth = 24
    /// Repeats that are counted are written out.
    static let mostRepeats = 64

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    private var ignoresCase = false

    private struct Unknown: Error {}

    /// The node that `pattern` spells, or nil.
    static func node(_ pattern: String) -> ExpressionNode? {
        var parser = ExpressionParser(scalars: Array(pattern.unicodeScalars.prefix(mostScalars + 1)))
        guard parser.scalars.count <= mostScalars, let node = try? parser.alternatives(), parser.current == nil else { return nil }
        return node
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ text: String) -> Bool {
        guard scalars[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func next() throws(Unknown) -> Unicode.Scalar {
        guard let scalar = current else { throw Unknown() }
        position += 1
        return scalar
    }

    private mutating func nested<Result>(_ body: (inout Self) throws(Unknown) -> Result) throws(Unknown) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.mostDepth else { throw Unknown() }
        return try body(&self)
    }

    // MARK: Structure

    private mutating func alternatives() throws(Unknown) -> ExpressionNode {
        try nested { parser throws(Unknown) in
            // An option such as (?i) holds to the end of the group.
            let ignoredCase = parser.ignoresCase
            defer { parser.ignoresCase = ignoredCase }
            var parts = [try parser.sequence()]
            while parser.take("|") { parts.append(try parser.sequence()) }
            return parts.count == 1 ? parts[0] : .alternatives(parts)
        }
    }

    private mutating func sequence() throws(Unknown) -> ExpressionNode {
        var parts: [ExpressionNode] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            if take("(?i)") {
                ignoresCase = true
                continue
            }
            parts.append(try repeated(atom()))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func atom() throws(Unknown) -> ExpressionNode {
        if take("(?:") { return try group() }
        if take("(?i:") {
            let ignoredCase = ignoresCase
            ignoresCase = true
            defer { ignoresCase = ignoredCase }
            return try group()
        }
        if take("(?=") { return .ahead(try group(), isNegative: false) }
        if take("(?!") { return .ahead(try group(), isNegative: true) }
        if take("(?>") { return .repeated(try group(), least: 1, most: 1, .possessive) }
        if take("(?") { throw Unknown() }
        if take("(") { return try group() }
        if take("[") { return .set(try set()) }
        if take("^") { return .lineStart }
        if take("$") { return .lineEnd }
        if take("\\A") { return .textStart }
        if take("\\z") { return .textEnd }
        if take(".") { return .set(ScalarSet(.range(0x0A...0x0A), isNegated: true)) }
        if take("\\") {
            switch try escape() {
            case .set(let set): return .set(set)
            case .range(let range): return .scalar(Unicode.Scalar(range.lowerBound)!, ignoringCase: ignoresCase)
            case let item: return .set(ScalarSet(item))
            }
        }
        guard let scalar = current, !"?*+".unicodeScalars.contains(scalar) else { throw Unknown() }
        position += 1
        return .scalar(scalar, ignoringCase: ignoresCase)
    }

    private mutating func group() throws(Unknown) -> ExpressionNode {
        let node = try alternatives()
        guard take(")") else { throw Unknown() }
        return node
    }

    // MARK: Repeats

    private mutating func repeated(_ atom: ExpressionNode) throws(Unknown) -> ExpressionNode {
        var node = atom
        while let (least, most, isInterval) = try count() {
            // Unlimited repeats of nothing would never end.
            guard most != nil || !node.canBeEmpty else { throw Unknown() }
            var greed = ExpressionNode.Greed.greedy
            if take("?") { greed = .lazy } else if !isInterval, take("+") { greed = .possessive }
            node = .repeated(node, least: least, most: most, greed)
        }
        return node
    }

    /// `?`, `*`, `+` or an interval, if one comes next.
    private mutating func count() throws(Unknown) -> (least: Int, most: Int?, isInterval: Bool)? {
        if take("?") { return (0, 1, false) }
        if take("*") { return (0, nil, false) }
        if take("+") { return (1, nil, false) }
        let start = position
        guard take("{") else { return nil }
        let least = number()
        let hasComma = take(",")
        let most = hasComma ? number() : least
        guard take("}"), least != nil || most != nil else {
            // Braces that are no interval stand for themselves.
            position = start
            return nil
        }
        guard (least ?? 0) <= Self.mostRepeats, (most ?? 0) <= Self.mostRepeats, (least ?? 0) <= most ?? .max else { throw Unknown() }
        return (least ?? 0, hasComma ? most : least, true)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = current, "0"..."9" ~= digit {
            value = min((value ?? 0) * 10 + Int(digit.value - 0x30), 1 << 20)
            position += 1
        }
        return value
    }

    // MARK: Classes

    /// What follows a backslash: a class, or a scalar as a range of one.
    private mutating func escape(isInClass: Bool = false) throws(Unknown) -> ScalarSet.Item {
        let scalar = try next()
        switch scalar {
        case "s": return .whiteSpace
        case "S": return .set(ScalarSet(.whiteSpace, isNegated: true))
        case "w": return .patternWord(isInClass: isInClass)
        case "W": return .set(ScalarSet(.patternWord(isInClass: isInClass), isNegated: true))
        case "d": return .categories(GeneralCategory.bits("Nd")!)
        case "D": return .set(ScalarSet(.categories(GeneralCategory.bits("Nd")!), isNegated: true))
        case "p", "P": return try property(isNegated: scalar == "P")
        case "n": return Self.one(0x0A)
        case "r": return Self.one(0x0D)
        case "t": return Self.one(0x09)
        case "f": return Self.one(0x0C)
        case "v": return Self.one(0x0B)
        case "x", "u": return try code(digits: scalar == "x" ? 2 : 4)
        default:
            // Other letters and digits have meanings that are not known here.
            guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9" ~= scalar) else { throw Unknown() }
            return Self.one(scalar.value)
        }
    }

    private static func one(_ value: UInt32) -> ScalarSet.Item { .range(value...value) }

    private mutating func code(digits: Int) throws(Unknown) -> ScalarSet.Item {
        let isBraced = take("{")
        var value: UInt32 = 0
        var count = 0
        while count < (isBraced ? 6 : digits), let digit = current.flatMap({ Character($0).hexDigitValue }) {
            value = value * 16 + UInt32(digit)
            position += 1
            count += 1
        }
        guard count > 0, isBraced ? take("}") : count == digits, Unicode.Scalar(value) != nil else { throw Unknown() }
        return Self.one(value)
    }

    private mutating func property(isNegated: Bool) throws(Unknown) -> ScalarSet.Item {
        guard take("{") else { throw Unknown() }
        let isInverted = take("^")
        var name = ""
        while let scalar = current, scalar != "}" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}") else { throw Unknown() }
        let item: ScalarSet.Item
        if name == "Han" {
            item = .han
        } else if let bits = GeneralCategory.bits(name) {
            item = .categories(bits)
        } else {
            throw Unknown()
        }
        return isNegated != isInverted ? .set(ScalarSet(item, isNegated: true)) : item
    }

    /// What follows an opening bracket.
    private mutating func set() throws(Unknown) -> ScalarSet {
        try nested { parser throws(Unknown) in
            let isNegated = parser.take("^")
            var items: [ScalarSet.Item] = []
            var others: [ScalarSet] = []
            var isFirst = true
            while isFirst || parser.current != "]" {
                if parser.take("&&") {
                    others.append(try parser.intersected())
                } else {
                    items.append(try parser.item())
                }
                isFirst = false
            }
            parser.position += 1
            // Case is ignored by looking at both, which only letters need.
            return parser.ignoresCase
                ? try Self.ignoringCase(items, isNegated, others) : ScalarSet(items, isNegated: isNegated, and: others)
        }
    }

    /// The rest of a class behind `&&`, up to its end or the next `&&`.
    private mutating func intersected() throws(Unknown) -> ScalarSet {
        var items: [ScalarSet.Item] = []
        while let scalar = current, scalar != "]" {
            if scalars[position...].starts(with: "&&".unicodeScalars) { break }
            items.append(try item())
        }
        guard !items.isEmpty else { throw Unknown() }
        return ScalarSet(items)
    }

    private mutating func item() throws(Unknown) -> ScalarSet.Item {
        if take("[:") { throw Unknown() }
        if take("[") { return .set(try set()) }
        let first = try member()
        guard case .range(let low) = first, current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else { return first }
        position += 1
        guard case .range(let high) = try member(), low.lowerBound <= high.lowerBound else { throw Unknown() }
        return .range(low.lowerBound...high.lowerBound)
    }

    private mutating func member() throws(Unknown) -> ScalarSet.Item {
        if take("\\") { return try escape(isInClass: true) }
        return Self.one(try next().value)
    }

    private static func ignoringCase(
        _ items: [ScalarSet.Item], _ isNegated: Bool, _ others: [ScalarSet]
    ) throws(Unknown) -> ScalarSet {
        var both = items
        for item in items {
            guard case .range(let range) = item else { continue }
            guard range.count <= 1 << 10 else { throw Unknown() }
            for value in range {
                guard let scalar = Unicode.Scalar(value) else { continue }
                for text in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
                    let scalars = text.unicodeScalars
                    if let other = scalars.first, scalars.count == 1, other != scalar { both.append(one(other.value)) }
                }
            }
        }
        return ScalarSet(both, isNegated: isNegated, and: others)
    }
}
