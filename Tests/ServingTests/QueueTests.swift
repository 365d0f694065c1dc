import AttentionTestSupport
import Foundation
import LanguageModels
import SampleAttention
import Serving
import Testing

/// Who waits, who is sent away, and what becomes of those who leave.
@Suite struct QueueTests {
    private static let prompt = (0..<60).map { Int32($0 * 11 % 256) }

    private static func server(_ gate: Gate, waiting: Int, seconds: Int = 600) throws -> TestServer {
        var limits = ServingLimits()
        limits.waiting = waiting
        limits.requestTime = .seconds(seconds)
        return try TestServer(Scratch(), policy: AttentionPolicy(name: "gate", method: gate), limits: limits)
    }

    @Test func whoComesWhenTheQueueIsFullIsToldToComeBack() async throws {
        let gate = Gate()
        let server = try Self.server(gate, waiting: 1)
        async let running = server.complete(Self.prompt)
        try await wait { gate.calls == 1 }
        async let waiting = server.complete(Self.prompt)
        try await wait { server.engine.queue.waiting == 1 }
        let refused = try await server.complete(Self.prompt)
        #expect(refused.status == 503 && refused.headers["Retry-After"] == "1")
        #expect(try refused.error()["code"] as? String == "queue_full" && refused.error()["type"] as? String == "server_error")
        let page = String(decoding: await server.get("/metrics").body, as: UTF8.self)
        #expect(page.contains("sample_attention_requests_waiting 1\n") && page.contains("sample_attention_requests_running 1\n"))
        gate.open(100)
        let (first, second) = try await (running, waiting)
        #expect(first.status == 200 && second.status == 200)
        #expect(try first.text() == server.text(server.expected(Self.prompt)))
        #expect(server.engine.queue.waiting == 0 && server.engine.queue.running == 0)
    }

    /// Whether it runs or waits, streams or not.
    @Test(arguments: [false, true]) func whoLeavesMakesRoom(streams: Bool) async throws {
        let gate = Gate()
        let server = try Self.server(gate, waiting: 1)
        let running = Task { try await server.complete(Self.prompt, ["stream": streams]) }
        try await wait { gate.calls == 1 }
        let waiting = Task { try await server.complete(Self.prompt, ["stream": streams]) }
        try await wait { server.engine.queue.waiting == 1 }
        waiting.cancel()
        #expect(try await waiting.value.status == 0, "nobody is there to be answered")
        #expect(server.engine.queue.waiting == 0)
        running.cancel()
        // The layer that is held ends; no other one is begun.
        gate.open(1)
        _ = try await running.value
        #expect(gate.calls == 1 && server.engine.queue.running == 0)
        gate.open(100)
        #expect(try await server.complete(Self.prompt).status == 200)
        #expect(server.log.count { $0.contains(#""status":499"#) } == 2)
    }

    @Test func aRequestHasItsTime() async throws {
        let gate = Gate()
        let server = try Self.server(gate, waiting: 1, seconds: 0)
        let slow = Task { try await server.complete(Self.prompt) }
        try await wait { gate.calls == 1 || server.log.count == 1 }
        // The layer is held until the time, which is none, must have been noticed: it is over before this task has slept so often.
        for _ in 0..<200 { try await Task.sleep(for: .milliseconds(1)) }
        gate.open(100)
        let reply = try await slow.value
        #expect(reply.status == 504)
        #expect(try reply.error()["code"] as? String == "timeout")
        #expect(server.engine.queue.running == 0)
    }
}
