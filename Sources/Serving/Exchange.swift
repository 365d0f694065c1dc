import AttentionCore
import Foundation
import Synchronization

/// One request and its answer: what was sent of it, and what is counted and logged when it ends.
final class Exchange<Sink: AnswerSink>: Sendable {
    let id = UUID().uuidString.lowercased().filter { $0 != "-" }
    /// Nil where there is none.
    let endpoint: Endpoint?
    let arrival = ContinuousClock.now
    private let hasNoBody: Bool
    private let sink: Sink
    private let isTold: @Sendable (String) -> Void
    private let state: Mutex<State>

    private struct State {
        var record: RequestRecord
        var hasBegun = false
        var summary: GenerationSummary?
    }

    /// What a client is said to have got that has left.
    private static var clientLeft: Int { 499 }

    init(_ request: APIRequest, sink: Sink, isTold: @escaping @Sendable (String) -> Void) {
        endpoint = Endpoint(rawValue: request.path)
        hasNoBody = request.method == "HEAD"
        self.sink = sink
        self.isTold = isTold
        state = Mutex(State(record: RequestRecord(time: Date(), id: id, endpoint: endpoint?.rawValue ?? "other")))
    }

    /// Runs `body`, which answers; what it throws becomes the API's error object, also where the answer has begun.
    func run(counting metrics: Metrics, within limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async {
        do {
            try await Self.run(within: limit, body)
        } catch {
            await tell(error)
        }
        let state = state.withLock { state in
            state.record.seconds = (ContinuousClock.now - arrival).seconds
            return state
        }
        metrics.count(endpoint: state.record.endpoint, status: state.record.status)
        if let summary = state.summary { metrics.count(summary) }
        isTold(state.record.line)
    }

    /// - Throws: `APIError` (504) when `body` has not ended by then; it is cancelled, and ends before this returns.
    private static func run(within limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: limit)
                throw APIError(504, "The request took more than \(limit.seconds) s.", type: .server, code: "timeout")
            }
            defer { group.cancelAll() }
            _ = try await group.next()
        }
    }

    func note(_ summary: GenerationSummary) {
        state.withLock { state in
            state.summary = summary
            state.record.note(summary)
        }
    }

    // MARK: Sending

    func send(_ value: some Encodable) async throws { try await send(JSONBody.encode(value), type: "application/json") }

    func send(_ bytes: some Sequence<UInt8>, type: String) async throws {
        try await send(status: 200, headers: ["Content-Type": type, "Cache-Control": "no-store"], body: Data(bytes))
    }

    private func send(status: Int, headers: [String: String], body: Data) async throws {
        state.withLock { state in
            state.hasBegun = true
            state.record.status = status
        }
        try await sink.send(status: status, headers: headers, body: hasNoBody ? Data() : body)
    }

    /// Sends an event, and before the first one the head of an answer that is made of them.
    func sendEvent(_ value: some Encodable) async throws { try await sendEvent(JSONBody.encode(value)) }

    private func sendEvent(_ data: Data) async throws {
        let isFirst = state.withLock { state in
            defer { state.hasBegun = true }
            if !state.hasBegun { state.record.status = 200 }
            return !state.hasBegun
        }
        if isFirst {
            try await sink.begin(
                status: 200, headers: ["Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"])
        }
        try await sink.write(Data("data: ".utf8) + data + Data("\n\n".utf8))
    }

    func endEvents() async throws {
        try await sendEvent(Data("[DONE]".utf8))
        try await sink.end()
    }

    /// Says what went wrong, where anybody is left to hear it.
    private func tell(_ error: any Error) async {
        let error = Self.apiError(error)
        let hasBegun = state.withLock { state in
            state.record.status = error?.status ?? Self.clientLeft
            state.record.error = error?.code
            return state.hasBegun
        }
        guard let error else { return }
        do {
            if hasBegun {
                try await sendEvent(error)
                return try await sink.end()
            }
            var headers = ["Content-Type": "application/json"]
            if let seconds = error.retryAfter { headers["Retry-After"] = "\(seconds)" }
            if error.status == 401 { headers["WWW-Authenticate"] = "Bearer" }
            if error.status == 405, let endpoint { headers["Allow"] = endpoint.method }
            try await send(status: error.status, headers: headers, body: JSONBody.encode(error))
        } catch {
            // The client is gone, which is no fault of the request.
        }
    }

    /// Nil when the client is gone.
    private static func apiError(_ error: any Error) -> APIError? {
        switch error {
        case let error as APIError: error
        case let error as InputError where error.code == .systemFailure:
            APIError(503, "\(error.field ?? "memory"): \(error.rule)", type: .server, code: "out_of_memory")
        case let error as InputError where error.code == .usage:
            APIError(400, error.description, param: error.field, code: "invalid_value")
        case let error as InputError: APIError(500, error.rule, type: .server, code: "internal_error")
        // Whatever writing to the client throws.
        default: nil
        }
    }
}
