import AttentionCore

/// What one relative can say about a head, and how its reader takes it.
protocol ForeignFormat: Sendable {
    /// The program's name.
    var name: String { get }
    /// The patterns its files may hold and a config here may take; others are refused.
    var kinds: [ForeignHead.Kind] { get }
    /// A window and the first `sinks` keys, with nothing chosen by content.
    func bareWindow(sinks: Int, window: Int, score: Double) -> ForeignHead
}

extension ForeignFormat {
    /// Names of `kinds`, for messages.
    var kindNames: String { kinds.map(\.rawValue).joined(separator: " and ") }
}
