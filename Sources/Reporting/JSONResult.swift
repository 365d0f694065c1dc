import Foundation

/// The one JSON object that a command prints or writes. A number that is not finite, which JSON lacks, is null.
package enum JSONResult {
    package static func encode(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // No text of a result can spell this one.
        let absent = UUID().uuidString
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: absent, negativeInfinity: absent, nan: absent)
        // Infinity and NaN are provided for, so encoding cannot fail.
        let text = String(decoding: try! encoder.encode(value), as: UTF8.self)
        return Data((text.replacing("\"\(absent)\"", with: "null") + "\n").utf8)
    }
}
