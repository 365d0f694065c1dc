/// The steps that cut a text into pieces, one after the other, each within the pieces of the one before.
struct TextSplitter: Sendable {
    /// Cuts, and what becomes of every piece they give.
    struct Stage: Sendable {
        var splits: [TextSplit]
        let rewriting: Rewriting
    }

    /// A step that changes the text.
    enum Rewriting: Sendable {
        /// `ByteLevel` with `add_prefix_space`: a space before every piece that does not begin with one.
        case leadingSpace
        /// `Metaspace`: `mark` in the place of spaces, and one more before pieces that do not begin with it.
        case spaceMarks(mark: Unicode.Scalar, before: LeadingMark)
    }

    /// `prepend_scheme`: which pieces get a mark of their own.
    enum LeadingMark: String, Sendable {
        case always, never
        /// The piece that the text begins with.
        case first
    }

    /// Steps up to the last one that changes the text.
    var stages: [Stage] = []
    /// The steps after it.
    var splits: [TextSplit] = []

    mutating func append(_ rewriting: Rewriting) {
        stages.append(Stage(splits: splits, rewriting: rewriting))
        splits = []
    }

    /// True when it matters where the text began before it was normalised.
    var asksForOrigins: Bool {
        stages.contains { if case .spaceMarks(_, .first) = $0.rewriting { true } else { false } }
    }

    /// The text after all steps that change it. The cuts before them are done with then.
    func rewritten(_ prepared: PreparedText) -> PreparedText {
        stages.reduce(prepared) { Self.rewritten($0, $1) }
    }

    private static func rewritten(_ prepared: PreparedText, _ stage: Stage) -> PreparedText {
        var builder = PreparedText.Builder(prepared)
        prepared.bytes.withUnsafeBufferPointer { bytes in
            for segment in prepared.segments {
                guard segment.token == nil else {
                    builder.copy(segment.range)
                    builder.endSegment(token: segment.token)
                    continue
                }
                forEachPiece(of: segment.range, in: bytes, splits: stage.splits[...]) { piece in
                    stage.rewriting.write(piece, of: bytes, into: &builder)
                    builder.endSegment()
                }
            }
        }
        return builder.text
    }

    /// Calls `body` with the pieces of a segment of a rewritten text.
    func forEachPiece(of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        Self.forEachPiece(of: range, in: bytes, splits: splits[...], body)
    }

    private static func forEachPiece(
        of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, splits: ArraySlice<TextSplit>, _ body: (Range<Int>) -> Void
    ) {
        guard let split = splits.first else { return body(range) }
        if splits.count == 1 { return split.forEachPiece(of: range, in: bytes, body) }
        split.forEachPiece(of: range, in: bytes) { forEachPiece(of: $0, in: bytes, splits: splits.dropFirst(), body) }
    }
}

extension TextSplitter.Rewriting {
    private static let space = UInt8(ascii: " ")

    fileprivate func write(_ piece: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, into builder: inout PreparedText.Builder) {
        switch self {
        case .leadingSpace:
            if bytes[piece.lowerBound] != Self.space { builder.insert(" ", before: piece.lowerBound) }
            builder.copy(piece)
        case .spaceMarks(let mark, let before):
            let text = String(mark)
            let isMarked = bytes[piece.lowerBound] == Self.space || bytes[piece].starts(with: text.utf8)
            let isWanted =
                switch before {
                case .always: true
                case .never: false
                case .first: builder.isAtBeginning(piece.lowerBound)
                }
            if isWanted, !isMarked { builder.insert(text, before: piece.lowerBound) }
            var start = piece.lowerBound
            for position in piece where bytes[position] == Self.space {
                builder.copy(start..<position)
                builder.replace(position..<position + 1, with: text)
                start = position + 1
            }
            builder.copy(start..<piece.upperBound)
        }
    }
}
