import RunProvenance

/// What this program is, for `--version` and for the provenance of every output.
enum ToolVersion {
    static let version = "0.1.0"
    static var text: String { "sample-attention \(version) (\(BuildRecord.commit))" }
}
