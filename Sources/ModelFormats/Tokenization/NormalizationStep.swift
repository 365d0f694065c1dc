/// One step of what becomes of a text before it is cut into pieces, by the names of `tokenizer.json`.
enum NormalizationStep: Sendable {
    /// `NFC`, `NFD`, `NFKC`, `NFKD`.
    case form(NormalizationForm)
    /// `Lowercase`: every scalar by itself.
    case lowercase
    /// `Strip`: white space at the two ends.
    case strip(left: Bool, right: Bool)
    /// `StripAccents`: marks.
    case stripAccents
    /// `Replace`.
    case replace(SplitPattern, with: String)
    /// `Prepend`: before a text that is not empty.
    case prepend(String)
    /// `Nmt`: control characters fall away, unusual white space becomes a space.
    case unusualSpaces
    /// `Precompiled`.
    case characterMap(CharacterMap)
}

/// The steps in order, for every stretch of a text that is not an added token.
struct TextNormalization: Sendable {
    var steps: [NormalizationStep] = []

    func normalize(_ prepared: PreparedText) -> PreparedText {
        steps.reduce(prepared) { text, step in
            if case .form(.c) = step { return TextNormalizer.normalize(text) }
            return step.apply(text)
        }
    }

    /// A text by itself.
    func normalize(_ text: String) -> String {
        if steps.isEmpty { return text }
        return String(decoding: normalize(PreparedText(text, tracksOrigins: false)).bytes, as: UTF8.self)
    }
}

extension NormalizationStep {
    /// How many times longer the step can make a text at most. Units: bytes a byte.
    var growth: Int {
        switch self {
        case .form, .lowercase: 12
        case .strip, .stripAccents, .unusualSpaces: 1
        case .replace(let pattern, let text): pattern.growth(replacedBy: text)
        case .prepend(let text): 1 + text.utf8.count
        case .characterMap(let map): map.growth
        }
    }

    fileprivate func apply(_ prepared: PreparedText) -> PreparedText {
        var builder = PreparedText.Builder(prepared)
        prepared.bytes.withUnsafeBufferPointer { bytes in
            let scalars = TextScalars(bytes)
            for segment in prepared.segments {
                if segment.token == nil { apply(segment.range, of: scalars, &builder) } else { builder.copy(segment.range) }
                builder.endSegment(token: segment.token)
            }
        }
        return builder.text
    }

    /// Writes a stretch as it becomes.
    private func apply(_ range: Range<Int>, of scalars: TextScalars, _ builder: inout PreparedText.Builder) {
        switch self {
        case .form(let form): form.normalize(range, of: scalars, into: &builder)
        case .lowercase: Self.change(range, of: scalars, &builder) { $0.properties.lowercaseMapping }
        case .stripAccents: Self.change(range, of: scalars, &builder) { $0.isMark ? "" : nil }
        case .unusualSpaces: Self.change(range, of: scalars, &builder, Self.spaced)
        case .strip(let left, let right):
            let start = left ? scalars.spaceEnd(after: range.lowerBound, in: range) : range.lowerBound
            let end = right ? scalars.spaceStart(before: range.upperBound, in: start..<range.upperBound) : range.upperBound
            builder.replace(range.lowerBound..<start, with: "")
            builder.copy(start..<end)
            builder.replace(end..<range.upperBound, with: "")
        case .replace(let pattern, let text):
            pattern.forEachSpan(of: range, in: scalars) { span, isMatch in
                if isMatch { builder.replace(span, with: text) } else { builder.copy(span) }
            }
        case .prepend(let text):
            builder.insert(text, before: range.lowerBound)
            builder.copy(range)
        case .characterMap(let map): map.normalize(range, of: scalars, into: &builder)
        }
    }

    /// Writes what `change` makes of every scalar; nil leaves it as it is.
    private static func change(
        _ range: Range<Int>, of scalars: TextScalars, _ builder: inout PreparedText.Builder, _ change: (Unicode.Scalar) -> String?
    ) {
        var (kept, position) = (range.lowerBound, range.lowerBound)
        while position < range.upperBound {
            let (scalar, next) = scalars.scalar(at: position)
            defer { position = next }
            guard let text = change(scalar) else { continue }
            // A text that stays as it is need not be written anew.
            if ExactText(text) == ExactText(String(scalar)) { continue }
            builder.copy(kept..<position)
            builder.replace(position..<next, with: text)
            kept = next
        }
        builder.copy(kept..<range.upperBound)
    }

    /// Source: the "nmt" rules of SentencePiece.
    private static func spaced(_ scalar: Unicode.Scalar) -> String? {
        switch scalar.value {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: ""
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: " "
        default: nil
        }
    }
}

extension Unicode.Scalar {
    /// A mark that belongs to the character before it (general category M).
    var isMark: Bool {
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }
}
