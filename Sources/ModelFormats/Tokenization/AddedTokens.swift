import AttentionCore

/// A token of `added_tokens`: matched as written, wherever it stands, before the text is split into pieces.
struct AddedToken: Sendable {
    var id: Int32
    let text: String
    /// True for control tokens such as "<|end_of_text|>", which decoding may leave out.
    let isSpecial: Bool
    /// True when the token is looked for after normalisation.
    let isNormalized: Bool
    let fit: Fit

    /// What has to stand around a token, and what of it the token takes.
    struct Fit: Sendable {
        /// `single_word`: neither side touches a letter, a digit or another part of a word.
        var isSingleWord = false
        /// `lstrip` and `rstrip`: takes the white space before it, after it.
        var takesSpaceBefore = false, takesSpaceAfter = false
    }

    /// A token that fits anywhere.
    init(id: Int32, text: String, isSpecial: Bool, isNormalized: Bool = false) {
        self.id = id
        self.text = text
        self.isSpecial = isSpecial
        self.isNormalized = isNormalized
        fit = Fit()
    }

    /// - Parameter id: its id, where that is not among the fields.
    init(_ fields: JSONFields, id: Int32? = nil) throws(InputError) {
        if let id { self.id = id } else { self.id = Int32(try fields.integer("id", in: 0...ModelLimit.vocabulary)) }
        text = try fields.string("content")
        isSpecial = try fields.bool("special", default: false)
        isNormalized = try fields.bool("normalized", default: !isSpecial)
        fit = Fit(
            isSingleWord: try fields.bool("single_word", default: false), takesSpaceBefore: try fields.bool("lstrip", default: false),
            takesSpaceAfter: try fields.bool("rstrip", default: false))
    }
}

/// Finds added tokens in text: the leftmost first, and of those that begin at one place the longest.
struct AddedTokenMatcher: Sendable {
    private struct Entry: Sendable {
        let bytes: [UInt8]
        let id: Int32
        let fit: AddedToken.Fit
    }

    /// For each first byte the tokens that begin with it, longest first.
    private var byFirstByte: [[Entry]] = Array(repeating: [], count: 256)
    private var isEmpty = true

    /// - Parameter text: what is looked for in place of a token.
    init(_ tokens: [AddedToken], text: (AddedToken) -> String) {
        for token in tokens {
            let bytes = Array(text(token).utf8)
            // A text that normalisation leaves nothing of is found nowhere.
            if bytes.isEmpty { continue }
            byFirstByte[Int(bytes[0])].append(Entry(bytes: bytes, id: token.id, fit: token.fit))
            isEmpty = false
        }
        for first in byFirstByte.indices { byFirstByte[first].sort { $0.bytes.count > $1.bytes.count } }
    }

    /// Cuts the segments that are still text where tokens stand. O(bytes · tokens that share a first byte).
    func cut(_ prepared: inout PreparedText) {
        if isEmpty { return }
        var segments: [PreparedText.Segment] = []
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                if segment.token == nil {
                    cut(segment.range, of: TextScalars(bytes), into: &segments)
                } else {
                    segments.append(segment)
                }
            }
        }
        prepared.segments = segments
    }

    private func cut(_ range: Range<Int>, of scalars: TextScalars, into segments: inout [PreparedText.Segment]) {
        var textStart = range.lowerBound
        var position = range.lowerBound
        while position < range.upperBound {
            guard let entry = match(at: position, end: range.upperBound, scalars.bytes) else {
                position += 1
                continue
            }
            let match = position..<position + entry.bytes.count
            position = match.upperBound
            if entry.fit.isSingleWord,
                scalars.isWord(before: match.lowerBound, in: range) || scalars.isWord(at: match.upperBound, in: range)
            {
                continue
            }
            // White space that the token before has taken is not taken twice.
            let before = entry.fit.takesSpaceBefore ? scalars.spaceStart(before: match.lowerBound, in: range) : match.lowerBound
            let start = max(before, textStart)
            let after = entry.fit.takesSpaceAfter ? scalars.spaceEnd(after: match.upperBound, in: range) : match.upperBound
            if textStart < start { segments.append(.init(range: textStart..<start)) }
            textStart = max(after, textStart)
            segments.append(.init(range: start..<textStart, token: entry.id))
        }
        if textStart < range.upperBound { segments.append(.init(range: textStart..<range.upperBound)) }
    }

    private func match(at position: Int, end: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Entry? {
        byFirstByte[Int(bytes[position])].first { entry in
            let stop = position + entry.bytes.count
            return stop <= end && bytes[position..<stop].elementsEqual(entry.bytes)
        }
    }
}

extension TextScalars {
    fileprivate func isWord(before position: Int, in range: Range<Int>) -> Bool {
        position > range.lowerBound && ScalarClass.word.contains(scalar(before: position).0)
    }

    fileprivate func isWord(at position: Int, in range: Range<Int>) -> Bool {
        position < range.upperBound && ScalarClass.word.contains(scalar(at: position).0)
    }

    func spaceStart(before position: Int, in range: Range<Int>) -> Int {
        var position = position
        while position > range.lowerBound, case let (scalar, start) = scalar(before: position), scalar.properties.isWhitespace {
            position = start
        }
        return position
    }

    func spaceEnd(after position: Int, in range: Range<Int>) -> Int {
        var position = position
        while position < range.upperBound, case let (scalar, next) = scalar(at: position), scalar.properties.isWhitespace {
            position = next
        }
        return position
    }
}
