import AttentionCore
import Dispatch
import Synchronization

/// Whether a task was cancelled, as code that does not run in a task can see it.
package final class Cancellation: Sendable {
    private let isSet = Atomic(false)

    package var isCancelled: Bool { isSet.load(ordering: .relaxed) }

    func cancel() { isSet.store(true, ordering: .relaxed) }

    /// - Throws: `CancellationError` when the task was cancelled.
    package func check() throws(CancellationError) { if isCancelled { throw CancellationError() } }
}

/// Work that keeps a thread busy for as long as it takes, for callers that must not block.
package enum BlockingCall {
    /// Runs `body` on a thread of its own: threads of the cooperative pool are as few as the cores, and all tasks need them. Calls do not
    /// wait for each other.
    ///
    /// - Throws: what `body` throws; `CancellationError` without running it when the task is cancelled already.
    package static func run<Result: Sendable>(_ body: @escaping @Sendable (Cancellation) throws -> Result) async throws -> Result {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue(label: "LanguageModels.BlockingCall").async {
                    continuation.resume(
                        with: Swift.Result {
                            try cancellation.check()
                            return try body(cancellation)
                        })
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}

/// Ends a forward pass before its next layer once its task was cancelled.
package struct CancellationObserver: ForwardObserver {
    private let cancellation: Cancellation

    package init(cancellation: Cancellation) { self.cancellation = cancellation }

    package func attended(_ attention: LayerAttention) {}

    package func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws { try cancellation.check() }
}
