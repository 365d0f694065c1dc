/// What becomes of a split's matches, by the names of `tokenizer.json`.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}

/// One step of cutting a text into pieces.
struct TextSplit: Sendable {
    let pattern: SplitPattern
    var behavior = SplitBehavior.isolated
    /// True when what lies between the matches counts as the matches.
    var inverts = false
    /// True when the step follows a byte-level one and sees a character for every byte.
    var isSpelled = false

    /// Calls `body` with the pieces of a range, in order. None is empty.
    func forEachPiece(of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        // Spans grow into pieces: the last one waits for the next.
        var last: (range: Range<Int>, isMatch: Bool)?
        func finish() {
            guard let last, behavior != .removed || !last.isMatch else { return }
            body(last.range)
        }
        pattern.forEachSpan(of: range, in: TextScalars(bytes, areSpelled: isSpelled)) { span, isMatch in
            let isMatch = isMatch != inverts
            if let before = last, joins(before.isMatch, isMatch) {
                last = (before.range.lowerBound..<span.upperBound, isMatch)
            } else {
                finish()
                last = (span, isMatch)
            }
        }
        finish()
    }

    /// True when a span joins the one before it.
    private func joins(_ isFirstMatch: Bool, _ isSecondMatch: Bool) -> Bool {
        switch behavior {
        case .removed, .isolated: false
        case .mergedWithPrevious: !isFirstMatch && isSecondMatch
        case .mergedWithNext: isFirstMatch && !isSecondMatch
        case .contiguous: isFirstMatch == isSecondMatch
        }
    }
}

/// The steps that cut a text into pieces, one after the other, each within the pieces of the one before.
struct TextSplitter: Sendable {
    /// Applied to the text itself.
    let splits: [TextSplit]
    /// How many of the splits come before a space is put in front of every piece that does not begin with one; nil when none is.
    let splitsBeforeSpace: Int?

    /// Puts the spaces in. The steps that come before them are done with then.
    func spaced(_ prepared: PreparedText) -> PreparedText {
        guard let splitsBeforeSpace else { return prepared }
        var builder = PreparedText.Builder(prepared)
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                guard segment.token == nil else {
                    builder.copy(segment.range)
                    builder.endSegment(token: segment.token)
                    continue
                }
                forEachPiece(of: segment.range, in: bytes, splits: splits[..<splitsBeforeSpace]) { piece in
                    if bytes[piece.lowerBound] != UInt8(ascii: " ") { builder.insertSpace(before: piece.lowerBound) }
                    builder.copy(piece)
                    builder.endSegment()
                }
            }
        }
        return builder.text
    }

    /// Calls `body` with the pieces of a segment of a text that has its spaces.
    func forEachPiece(of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        forEachPiece(of: range, in: bytes, splits: splits[(splitsBeforeSpace ?? 0)...], body)
    }

    private func forEachPiece(
        of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, splits: ArraySlice<TextSplit>, _ body: (Range<Int>) -> Void
    ) {
        guard let split = splits.first else { return body(range) }
        if splits.count == 1 { return split.forEachPiece(of: range, in: bytes, body) }
        split.forEachPiece(of: range, in: bytes) { forEachPiece(of: $0, in: bytes, splits: splits.dropFirst(), body) }
    }
}
