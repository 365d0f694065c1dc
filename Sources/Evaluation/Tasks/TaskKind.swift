/// Kinds of tasks that can be made from any text.
public enum TaskKind: String, Sendable, CaseIterable, Codable {
    /// One fact in the text, asked at its end. The needle in a haystack.
    case needleSingle = "needle-single"
    /// Several facts, of which one is asked at the end.
    case needleMultiKey = "needle-multi-key"
    /// One name with several codes, all of which are asked for.
    case needleMultiValue = "needle-multi-value"
    /// Facts and answered questions all through the text.
    case interleaved
    /// Variables set to numbers or to one another; the value of one is asked.
    case variable
    /// People move about; where is one of them? BABILong's first task, in this text.
    case whereIsPerson = "babi-qa1"
    /// People carry things about; where is one of these? BABILong's second task, in this text.
    case whereIsObject = "babi-qa2"
    /// Code words come several times; which comes most often?
    case aggregation
    /// Paragraphs come again word for word.
    case copy
    /// The text as it is.
    case perplexity

    /// True for kinds that are asked at every depth of a grid.
    public var hasDepths: Bool { self == .needleSingle || self == .needleMultiKey }
}
