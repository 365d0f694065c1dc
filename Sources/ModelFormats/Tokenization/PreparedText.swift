/// A text on its way to tokens: its bytes after normalisation, cut where added tokens stand.
struct PreparedText {
    /// A stretch of `bytes` that is one added token, or (nil) text still to be split into pieces.
    struct Segment {
        var range: Range<Int>
        var token: Int32?
    }

    var bytes: [UInt8]
    var segments: [Segment]
    /// Where the scalars of `bytes` came from.
    var origins: Origins

    /// For each scalar the scalars of the original text it came from.
    enum Origins {
        /// Nobody asks.
        case unknown
        /// From the same place: nothing has changed.
        case same
        case changed([Range<Int>])
    }

    init(_ text: String, tracksOrigins: Bool) {
        bytes = Array(text.utf8)
        segments = bytes.isEmpty ? [] : [Segment(range: 0..<bytes.count)]
        origins = tracksOrigins ? .same : .unknown
    }

    /// The scalars of the original text that some scalars of `bytes` came from.
    func origin(of scalars: Range<Int>) -> Range<Int> {
        guard case .changed(let origins) = origins, !scalars.isEmpty else { return scalars }
        let (first, last) = (origins[scalars.lowerBound], origins[scalars.upperBound - 1])
        return min(first.lowerBound, last.lowerBound)..<max(first.upperBound, last.upperBound)
    }
}

extension PreparedText {
    /// Makes a changed copy of a text, from its beginning to its end.
    struct Builder {
        private let source: PreparedText
        private var bytes: [UInt8] = []
        private var segments: [Segment] = []
        private var origins: [Range<Int>] = []
        private let tracksOrigins: Bool
        /// How far the source has been read, in bytes and in scalars. Scalars count only when origins are asked for.
        private var position = 0, scalarsRead = 0
        private var segmentStart = 0

        init(_ source: PreparedText) {
            self.source = source
            if case .unknown = source.origins { tracksOrigins = false } else { tracksOrigins = true }
            bytes.reserveCapacity(source.bytes.count + source.bytes.count / 8)
        }

        /// Copies the source's bytes.
        mutating func copy(_ range: Range<Int>) {
            skip(to: range.lowerBound)
            bytes.append(contentsOf: source.bytes[range])
            let first = scalarsRead
            skip(to: range.upperBound)
            for scalar in first..<scalarsRead { origins.append(source.origin(of: scalar..<scalar + 1)) }
        }

        /// Writes `text` in the place of the source's bytes.
        mutating func replace(_ range: Range<Int>, with text: String) {
            skip(to: range.lowerBound)
            bytes.append(contentsOf: text.utf8)
            let first = scalarsRead
            skip(to: range.upperBound)
            guard tracksOrigins else { return }
            for _ in text.unicodeScalars { origins.append(source.origin(of: first..<scalarsRead)) }
        }

        /// Writes a text, which counts as part of the character before which it stands.
        mutating func insert(_ text: String, before position: Int) {
            skip(to: position)
            bytes.append(contentsOf: text.utf8)
            guard tracksOrigins else { return }
            for _ in text.unicodeScalars { origins.append(source.origin(of: scalarsRead..<scalarsRead + 1)) }
        }

        /// True when the next character is the first of the original text. Without origins, of the source.
        mutating func isAtBeginning(_ position: Int) -> Bool {
            guard tracksOrigins else { return position == 0 }
            skip(to: position)
            return source.origin(of: scalarsRead..<scalarsRead + 1).lowerBound == 0
        }

        /// Ends a segment: all that was written since the last one.
        mutating func endSegment(token: Int32? = nil) {
            if token != nil || segmentStart < bytes.count { segments.append(Segment(range: segmentStart..<bytes.count, token: token)) }
            segmentStart = bytes.count
        }

        var text: PreparedText {
            var text = source
            (text.bytes, text.segments, text.origins) = (bytes, segments, tracksOrigins ? .changed(origins) : .unknown)
            return text
        }

        private mutating func skip(to end: Int) {
            if tracksOrigins { scalarsRead += source.bytes[position..<end].count { $0 & 0xC0 != 0x80 } }
            position = end
        }
    }
}
