/// Finds the tokens that a text begins with: a prefix tree whose edges lie in one open-addressing hash table.
struct TokenTrie: Sendable {
    static let noToken: Int32 = -1
    /// Edges are numbered by 24 bits of node and 8 bits of byte.
    static let mostNodes = 1 << 24
    private static let empty = UInt32.max

    private var keys: [UInt32]
    private var children: [UInt32]
    private let shift: UInt32
    /// By node the token that ends there, `noToken` where none does. Node 0 is the root.
    private var tokens: [Int32] = [noToken]

    /// Of texts that occur twice the last one counts; the empty text is never found. Needs less than `mostNodes` bytes in all.
    init(_ entries: [(text: String, token: Int32)]) {
        let bytes = entries.reduce(0) { $0 + $1.text.utf8.count }
        precondition(bytes < Self.mostNodes)
        // At most half full, so that probes stay short.
        let bits = UInt32(max(4, Int.bitWidth - (bytes * 2).leadingZeroBitCount))
        keys = Array(repeating: Self.empty, count: 1 << bits)
        children = Array(repeating: 0, count: 1 << bits)
        shift = 32 - bits
        for (text, token) in entries where !text.isEmpty {
            var node: UInt32 = 0
            for byte in text.utf8 {
                let key = node << 8 | UInt32(byte)
                let slot = slot(of: key)
                if keys[slot] == Self.empty {
                    (keys[slot], children[slot]) = (key, UInt32(tokens.count))
                    tokens.append(Self.noToken)
                }
                node = children[slot]
            }
            tokens[Int(node)] = token
        }
    }

    /// Calls `body` with every token that begins at `start`, shortest first, and where it ends. O(longest token).
    func forEachToken(from start: Int, in bytes: UnsafeBufferPointer<UInt8>, _ body: (_ token: Int32, _ end: Int) -> Void) {
        var node: UInt32 = 0
        var position = start
        while position < bytes.count {
            let key = node << 8 | UInt32(bytes[position])
            let slot = slot(of: key)
            if keys[slot] == Self.empty { return }
            node = children[slot]
            position += 1
            if tokens[Int(node)] != Self.noToken { body(tokens[Int(node)], position) }
        }
    }

    /// The slot that holds `key` or, when it is absent, the empty slot where it would go. The key of all ones would need node 2²⁴ - 1,
    /// which there is not.
    private func slot(of key: UInt32) -> Int {
        var slot = Int((key &* 0x9E37_79B9) >> shift)
        while keys[slot] != key && keys[slot] != Self.empty { slot = (slot + 1) & (keys.count - 1) }
        return slot
    }
}
