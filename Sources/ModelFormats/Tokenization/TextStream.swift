/// Decodes tokens one after the other; the parts together are what `Tokenizer.decode` makes of all of them.
///
/// Complexity: O(1) a token, where decoding all tokens anew for each would be quadratic.
public struct TextStream: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    private var state: DetokenizerState
    /// The bytes of a character that is not complete yet.
    private var pending: [UInt8] = []

    public init(_ tokenizer: Tokenizer, skippingSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skippingSpecialTokens
        state = DetokenizerState(tokenizer.detokenizer)
    }

    /// The text that is certain now. Bytes that are not UTF-8 become U+FFFD; a character's first bytes are held back until the others come,
    /// and where bytes count as text only together (`byte_fallback`) all of them in a row.
    public mutating func append(_ token: Int32) -> String {
        if tokenizer.isDecoded(token, skippingSpecialTokens: skipsSpecialTokens) { state.append(Int(token), to: &pending) }
        return take(pending.count - Self.unfinished(pending))
    }

    /// True when bytes are held back that are text if no others follow: `finish` gives it.
    package var awaitsBytes: Bool { state.awaitsBytes }

    /// What was held back.
    public mutating func finish() -> String {
        state.finish(to: &pending)
        return take(pending.count)
    }

    private mutating func take(_ count: Int) -> String {
        defer { pending.removeFirst(count) }
        return String(decoding: pending[..<count], as: UTF8.self)
    }

    /// How many bytes at the end begin a character that they do not complete.
    private static func unfinished(_ bytes: [UInt8]) -> Int {
        for (index, byte) in bytes.reversed().prefix(3).enumerated() where byte & 0xC0 != 0x80 {
            let needed =
                switch byte {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            return needed > index + 1 && (index == 0 || canFollow(byte, bytes[bytes.count - index])) ? index + 1 : 0
        }
        return 0
    }

    /// Some first bytes narrow what the second may be (Unicode, table 3-7).
    private static func canFollow(_ first: UInt8, _ second: UInt8) -> Bool {
        switch first {
        case 0xE0: second >= 0xA0
        case 0xED: second <= 0x9F
        case 0xF0: second >= 0x90
        case 0xF4: second <= 0x8F
        default: true
        }
    }
}
