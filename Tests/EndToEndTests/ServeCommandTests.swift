import AttentionTestSupport
import Foundation
import Testing

/// `serve`, from its start to its end, spoken to through sockets.
@Suite struct ServeCommandTests {
    /// A server that has begun to listen.
    private struct Server {
        let program: RunningProgram
        let port: Int

        init(_ model: TinyModel, _ options: [String] = []) throws {
            program = try Program.start(["serve", "--model", model.path, "--port", "0"] + options)
            let program = program
            try #require(program.runs { program.output.hasSuffix("\n") }, "it does not listen: \(program.output)")
            port = try #require(Int(program.output.dropLast().split(separator: ":").last ?? ""))
        }

        func answer(_ path: String, _ body: String, headers: [String] = []) throws -> String {
            let connection = try ServerConnection(port: port)
            try connection.post(path, body, headers: headers)
            return connection.read()
        }

        /// Ends it as the system would. - Returns: what it has logged.
        func end(_ signal: Int32 = SIGTERM) throws -> [[String: Any]] {
            program.send(signal)
            let outcome = try program.wait()
            #expect(outcome.exitCode == 0, "\(outcome.errors)")
            return try outcome.errors.split(separator: "\n").map {
                try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
            }
        }
    }

    private static func json(_ answer: String) throws -> [String: Any] {
        let body = try #require(answer.firstRange(of: "\r\n\r\n")).upperBound
        return try #require(JSONSerialization.jsonObject(with: Data(answer[body...].utf8)) as? [String: Any], "\(answer)")
    }

    /// The text of an answer's only choice.
    private static func text(_ answer: String) throws -> String {
        try #require((json(answer)["choices"] as? [[String: Any]])?.first?["text"] as? String)
    }

    @Test func answersAsGenerateDoes() throws {
        let model = try TinyModel(Scratch())
        let expected = try Program.json(["generate", "--model", model.path, "--prompt", "Call me", "--max-tokens", "9"])
        let server = try Server(model)
        let body = #"{"prompt": "Call me", "max_tokens": 9, "temperature": 0}"#
        let answer = try server.answer("/v1/completions", body)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(try Self.text(answer) == expected["text"] as? String)
        let streamed = try server.answer("/v1/completions", body.dropLast() + #", "stream": true}"#)
        #expect(streamed.contains("text/event-stream") && streamed.contains("data: [DONE]\n\n"))
        let log = try server.end()
        #expect(log.map { $0["status"] as? Int } == [200, 200] && log[1]["cached_tokens"] as? Int == 0)
    }

    /// One connection after the other, and what is wrong with one harms none of the others.
    @Test func badRequestsAreToldApart() throws {
        let server = try Server(TinyModel(Scratch()), ["--max-body-bytes", "2000", "--read-seconds", "1"])
        for (answer, status, code) in [
            (try server.answer("/v1/completions", "{"), 400, "invalid_json"),
            (try server.answer("/v1/completions", #"{"prompt": "a", "model": "b"}"#), 404, "model_not_found"),
            (try server.answer("/v1/completions", String(repeating: " ", count: 2001)), 413, "body_too_large"),
            (try server.answer("/v1/completions", String(repeating: " ", count: 3_000_000)), 413, "body_too_large"),
        ] {
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            #expect(try (Self.json(answer)["error"] as? [String: Any])?["code"] as? String == code)
        }
        // Half a request, whose client waits.
        let stalled = try ServerConnection(port: server.port)
        try stalled.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        let answer = stalled.read()
        #expect(answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
        let nonsense = try ServerConnection(port: server.port)
        try nonsense.send("\u{1}\u{2}\r\n\r\n")
        #expect(nonsense.read().hasPrefix("HTTP/1.1 400 "))
        // A body in pieces, without its length, and one that asks whether it may come.
        let pieces = try ServerConnection(port: server.port)
        try pieces.send("POST /tokenize HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in [#"{"content""#, #": "a"}"#] { try pieces.send("\(String(piece.utf8.count, radix: 16))\r\n\(piece)\r\n") }
        try pieces.send("0\r\n\r\n")
        #expect(pieces.read().hasSuffix(#"{"tokens":[97]}"#))
        let asking = try ServerConnection(port: server.port)
        try asking.send("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n")
        #expect(asking.read { $0.contains("100 Continue\r\n\r\n") }.hasPrefix("HTTP/1.1 100"))
        try asking.send(#"{"content": "b"}"#)
        #expect(asking.read().hasSuffix(#"{"tokens":[98]}"#))
        _ = try server.end()
    }

    /// Also of an answer that is not streamed, of which the server writes nothing until it is whole.
    @Test(arguments: [false, true]) func whoLeavesIsNotWaitedFor(streams: Bool) throws {
        // 200,000 tokens would take far longer than the test may.
        let server = try Server(TinyModel(Scratch(), shape: TinyModel.Shape(layers: 2, positions: 300_000)))
        let connection = try ServerConnection(port: server.port)
        try connection.post(
            "/v1/completions", #"{"prompt": "a", "max_tokens": 200000, "temperature": 0, "stream": \#(streams)}"#)
        func running() throws -> Bool {
            let metrics = try ServerConnection(port: server.port)
            try metrics.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            return metrics.read().contains("sample_attention_requests_running 1\n")
        }
        while try !running() { usleep(2000) }
        connection.close()
        while try running() { usleep(2000) }
        #expect(try Self.text(server.answer("/v1/completions", #"{"prompt": "a", "max_tokens": 1}"#)).count == 1)
        let log = try server.end().filter { $0["endpoint"] as? String == "/v1/completions" }
        #expect(log.map { $0["status"] as? Int } == [499, 200])
    }

    /// What runs may finish; what takes longer than its time of grace is cancelled.
    @Test(arguments: [SIGTERM, SIGINT]) func endsWhenItIsTold(signal: Int32) throws {
        let server = try Server(
            TinyModel(Scratch(), shape: TinyModel.Shape(layers: 2, positions: 300_000)), ["--grace-seconds", "1"])
        let long = try ServerConnection(port: server.port)
        try long.post("/v1/completions", #"{"prompt": "a", "max_tokens": 200000, "temperature": 0, "stream": true}"#)
        #expect(long.read { $0.contains("data: ") }.hasPrefix("HTTP/1.1 200"))
        let idle = try ServerConnection(port: server.port)
        let log = try server.end(signal)
        #expect(log.map { $0["status"] as? Int } == [499])
        #expect(!long.read().contains("[DONE]") && idle.read().isEmpty)
    }

    @Test func theKeyComesFromAFileOrTheEnvironment() throws {
        let scratch = try Scratch()
        let model = try TinyModel(scratch)
        let key = try scratch.write("s3cret\n", to: "key")
        let server = try Server(model, ["--api-key-file", key])
        #expect(try server.answer("/tokenize", #"{"content": "a"}"#).hasPrefix("HTTP/1.1 401 "))
        #expect(
            try server.answer("/tokenize", #"{"content": "a"}"#, headers: ["Authorization: Bearer s3cret"]).hasPrefix("HTTP/1.1 200 "))
        let log = try server.end()
        #expect(log.map { $0["status"] as? Int } == [401, 200] && !"\(log)".contains("s3cret"))
        try expect(.missingInput, naming: ["nowhere"], ["serve", "--model", model.path, "--api-key-file", "nowhere"])
        try scratch.write(" \n", to: "empty")
        try expect(
            .configuration, naming: ["empty: API key: must be printable"],
            ["serve", "--model", model.path, "--api-key-file", scratch.file("empty")])
    }

    @Test func whatCannotBeServedIsRefused() throws {
        let model = try TinyModel(Scratch())
        let serve = ["serve", "--model", model.path]
        try expect(.usage, naming: ["port: 65536: must be from 0 to 65535"], serve + ["--port", "65536"])
        try expect(.usage, naming: ["parallel: 0"], serve + ["--parallel", "0"])
        try expect(.usage, naming: ["chat: irc: must be chatml, llama3"], serve + ["--chat", "irc"])
        try expect(.invalidData, naming: ["chat: chatml: needs the token <|im_start|>"], serve + ["--chat", "chatml"])
        let server = try Server(model)
        try expect(.systemFailure, naming: ["port: 127.0.0.1:\(server.port)"], serve + ["--port", "\(server.port)"])
        _ = try server.end()
    }
}
