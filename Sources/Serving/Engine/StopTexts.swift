/// Ends a text that comes in pieces where one of some texts begins, wherever pieces are cut: what may be the beginning of one is held back.
package struct StopTexts {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []

    package init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) } }

    /// True while text waits that may be the beginning of a stop.
    package var holdsBack: Bool { !held.isEmpty }

    /// The text that is certain now, and whether a stop has come: it and what follows are no part of the text.
    ///
    /// Complexity: O((held + new bytes) · bytes of all stops).
    package mutating func append(_ text: String) -> (text: String, isStopped: Bool) {
        held += text.utf8
        if let end = held.indices.first(where: { start in stops.contains { held[start...].starts(with: $0) } }) {
            return (take(end), true)
        }
        let first = held.indices.first { start in stops.contains { $0.starts(with: held[start...]) } }
        return (take(first ?? held.count), false)
    }

    /// What was held back and is text after all.
    package mutating func finish() -> String { take(held.count) }

    /// A stop begins where a character does, and so whole characters are left before it.
    private mutating func take(_ count: Int) -> String {
        defer { held.removeFirst(count) }
        return String(decoding: held[..<count], as: UTF8.self)
    }
}
