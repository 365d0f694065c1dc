import Synchronization

/// Lets some generations run at a time and as many wait, first come, first served; others are sent away at once.
package final class GenerationQueue: Sendable {
    private let most: (running: Int, waiting: Int)
    private let state = Mutex(State())

    private struct State {
        var running = 0
        var waiting: [(ticket: Int, turn: CheckedContinuation<Void, any Error>)] = []
        var lastTicket = 0
        /// Of those that were cancelled before they could wait.
        var cancelled: Set<Int> = []
    }

    /// - Parameters:
    ///   - running: at a time, at least 1.
    ///   - waiting: at a time.
    package init(running: Int, waiting: Int) { most = (running, waiting) }

    package var running: Int { state.withLock { $0.running } }
    package var waiting: Int { state.withLock { $0.waiting.count } }

    /// Runs `body` when its turn comes.
    ///
    /// - Throws: `APIError` (503) when too many wait; `CancellationError` when the task is cancelled before its turn; what `body` throws.
    package func run<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (turn: CheckedContinuation<Void, any Error>) in
                let decision: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(ticket) != nil { return .failure(CancellationError()) }
                    if state.running < most.running {
                        state.running += 1
                        return .success(())
                    }
                    guard state.waiting.count < most.waiting else {
                        return .failure(Self.refusal)
                    }
                    state.waiting.append((ticket, turn))
                    return nil
                }
                if let decision { turn.resume(with: decision) }
            }
        } onCancel: {
            let turn = state.withLock { state in
                guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil as CheckedContinuation<Void, any Error>?
                }
                return state.waiting.remove(at: index).turn
            }
            turn?.resume(throwing: CancellationError())
        }
        // Cancelled after its turn had come: `body` sees that itself.
        _ = state.withLock { $0.cancelled.remove(ticket) }
    }

    /// Hands the place to who has waited longest.
    private func leave() {
        let next = state.withLock { state in
            if state.waiting.isEmpty {
                state.running -= 1
                return nil as CheckedContinuation<Void, any Error>?
            }
            return state.waiting.removeFirst().turn
        }
        next?.resume()
    }

    private static var refusal: APIError {
        var error = APIError(503, "Too many requests are waiting; try again later.", type: .server, code: "queue_full")
        error.retryAfter = 1
        return error
    }
}
