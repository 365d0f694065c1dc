/// One head in the files of MInference and vLLM: `[kind, columns, window, score]`.
public struct ForeignHead: Hashable, Sendable {
    /// The patterns that both sides can express.
    public enum Kind: String, Sendable, CaseIterable {
        /// The heaviest columns and the heaviest diagonals.
        case verticalSlash = "vertical_and_slash"
        /// The first keys and the nearest ones.
        case streaming = "stream_llm"
    }

    public let kind: Kind
    /// Vertical lines, or the first keys of `stream_llm`.
    public let columns: Int
    /// Slash lines, or the nearest keys of `stream_llm`, the query's own included.
    public let window: Int
    /// The mean retained mass; in files of other origin any number.
    public let score: Double

    public init(kind: Kind, columns: Int, window: Int, score: Double) {
        self.kind = kind
        self.columns = columns
        self.window = window
        self.score = score
    }

    /// The head as JSON; a `Double` prints the digits that read back as itself.
    var text: String { "[\"\(kind.rawValue)\", \(columns), \(window), \(score)]" }
}

extension ForeignHead: Encodable {
    /// A list of four, as in the files.
    public func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode(kind.rawValue)
        try list.encode(columns)
        try list.encode(window)
        try list.encode(score)
    }
}
