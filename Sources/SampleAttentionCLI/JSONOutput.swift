import Foundation

/// The one JSON object that a command prints or writes.
enum JSONOutput {
    static func encode(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        // Strings stand in for the only values that JSON lacks, so encoding cannot fail.
        return try! encoder.encode(value) + Data("\n".utf8)
    }

    static func print(_ value: some Encodable) { StandardOutput.write(encode(value)) }
}
