import Synchronization

/// Holds the rule that something is used by one call at a time. What a caller shares between tasks by mistake would otherwise give wrong
/// numbers now and then, and never the same ones.
///
/// A use costs two atomic operations. Uses do not nest.
package final class ExclusiveUse: Sendable {
    private let name: String
    private let isTaken = Atomic(false)

    /// - Parameter name: what is used, with its article, for the message.
    package init(of name: String) { self.name = name }

    /// Runs `body`. Stops the program, in release builds too, when another use has not ended.
    package func during<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        // A precondition would stop a release build without a word.
        guard !isTaken.exchange(true, ordering: .acquiring) else {
            fatalError("\(name) was used by two calls at once: calls that run at the same time need one each")
        }
        defer { isTaken.store(false, ordering: .releasing) }
        return try body()
    }
}
