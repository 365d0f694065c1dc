import Reporting

/// The one JSON object that a command prints.
enum JSONOutput {
    static func print(_ value: some Encodable) { StandardOutput.write(JSONResult.encode(value)) }
}
