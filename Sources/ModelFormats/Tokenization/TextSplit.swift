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
