import AttentionCore
import ModelFormats

/// The secret that clients show. It is never printed.
package struct APIKey: Sendable {
    private let bytes: [UInt8]

    /// - Parameter source: where the key came from, for errors.
    /// - Throws: `InputError` (`configuration`) for a key that no header can hold.
    package init(_ text: String, source: String) throws(InputError) {
        let key = text.drop { $0.isWhitespace }
        bytes = Array(key.prefix(key.count - key.reversed().prefix { $0.isWhitespace }.count).utf8)
        guard !bytes.isEmpty, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw InputError(.configuration, file: source, field: "API key", rule: "must be printable ASCII without spaces")
        }
    }

    /// True for the key. Takes as long for every key of the same length, however much of it is right.
    func isShown(_ authorization: String?) -> Bool {
        let shown = Array((authorization ?? "").utf8)
        let scheme = Array("bearer ".utf8)
        // The scheme's name is no secret; its letters may be of either case.
        guard shown.count >= scheme.count, zip(shown, scheme).allSatisfy({ $0 | 0x20 == $1 }) else { return false }
        let key = shown.dropFirst(scheme.count)
        var difference = key.count ^ bytes.count
        for (index, byte) in key.enumerated() { difference |= Int(byte ^ bytes[index % bytes.count]) }
        return difference == 0
    }
}
