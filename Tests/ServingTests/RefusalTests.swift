import AttentionTestSupport
import Foundation
import ModelFormats
import Serving
import Testing

/// Every fault is told by the API's own error object, and costs nobody else anything.
@Suite struct RefusalTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let body: String
        let status: Int
        let code: String
        let param: String?
        let path: String

        init(_ body: String, _ code: String, _ param: String? = nil, status: Int = 400, path: String = "/v1/completions") {
            (self.body, self.status, self.code, self.param, self.path) = (body, status, code, param, path)
        }

        var testDescription: String { "\(path) \(body.prefix(80))" }
    }

    private static let chat = "/v1/chat/completions"
    private static let hello = #""messages": [{"role": "user", "content": "a"}]"#

    static let faults = [
        Fault("", "invalid_json"), Fault("{", "invalid_json"), Fault(#"{"prompt": "a"} x"#, "invalid_json"), Fault("[]", "invalid_type"),
        Fault(String(repeating: "[", count: 100_000), "invalid_json"),
        Fault("{}", "missing_required_parameter", "prompt"), Fault(#"{"prompt": null}"#, "invalid_type", "prompt"),
        Fault(#"{"prompt": 5}"#, "invalid_type", "prompt"), Fault(#"{"prompt": []}"#, "invalid_value", "prompt"),
        Fault(#"{"prompt": ["a", "b"]}"#, "invalid_value", "prompt"), Fault(#"{"prompt": [1, 257]}"#, "invalid_value", "prompt"),
        Fault(#"{"prompt": [-1]}"#, "invalid_value", "prompt"), Fault(#"{"prompt": [1.5]}"#, "invalid_type", "prompt[0]"),
        Fault(#"{"prompt": "a", "max_tokens": "many"}"#, "invalid_type", "max_tokens"),
        Fault(#"{"prompt": "a", "max_tokens": 0}"#, "invalid_value", "max_tokens"),
        Fault(#"{"prompt": "a", "max_tokens": 1e30}"#, "invalid_value", "max_tokens"),
        Fault(#"{"prompt": "a", "max_tokens": 1.5}"#, "invalid_value", "max_tokens"),
        Fault(#"{"prompt": "a", "max_tokens": 600}"#, "context_length_exceeded", "prompt"),
        Fault(#"{"prompt": "\#(String(repeating: "a", count: 600))"}"#, "context_length_exceeded", "prompt"),
        Fault(#"{"prompt": "a", "temperature": 2.1}"#, "invalid_value", "temperature"),
        Fault(#"{"prompt": "a", "temperature": -1}"#, "invalid_value", "temperature"),
        Fault(#"{"prompt": "a", "temperature": true}"#, "invalid_type", "temperature"),
        Fault(#"{"prompt": "a", "top_p": 1.1}"#, "invalid_value", "top_p"),
        Fault(#"{"prompt": "a", "seed": "x"}"#, "invalid_type", "seed"),
        Fault(#"{"prompt": "a", "logprobs": 6}"#, "invalid_value", "logprobs"),
        Fault(#"{"prompt": "a", "stop": ["1", "2", "3", "4", "5"]}"#, "invalid_value", "stop"),
        Fault(#"{"prompt": "a", "stop": ""}"#, "invalid_value", "stop"), Fault(#"{"prompt": "a", "stop": 7}"#, "invalid_type", "stop"),
        Fault(#"{"prompt": "a", "stream_options": {"include_usage": true}}"#, "invalid_value", "stream_options"),
        Fault(#"{"prompt": "a", "model": "gpt"}"#, "model_not_found", "model", status: 404),
        Fault(#"{"prompt": "a", "n": 2}"#, "unsupported_parameter", "n"),
        Fault(#"{"prompt": "a", "echo": true}"#, "unsupported_parameter", "echo"),
        Fault(#"{"prompt": "a", "logit_bias": {"1": 5}}"#, "unsupported_parameter", "logit_bias"),
        Fault(#"{"prompt": "a", "presence_penalty": 0.5}"#, "unsupported_parameter", "presence_penalty"),
        Fault("{}", "missing_required_parameter", "messages", path: chat),
        Fault(#"{"messages": []}"#, "invalid_value", "messages", path: chat),
        Fault(#"{"messages": [{"content": "a"}]}"#, "missing_required_parameter", "messages[0].role", path: chat),
        Fault(#"{"messages": [{"role": "tool", "content": "a"}]}"#, "invalid_value", "messages[0].role", path: chat),
        Fault(#"{"messages": [{"role": "user", "content": 1}]}"#, "invalid_type", "messages[0].content", path: chat),
        Fault(
            #"{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}"#, "unsupported_parameter", "messages", path: chat),
        Fault(
            #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, "invalid_value", "messages",
            path: chat),
        Fault("{\(hello), \"tools\": [{\"type\": \"function\"}]}", "unsupported_parameter", "tools", path: chat),
        Fault("{\(hello), \"response_format\": {\"type\": \"json_object\"}}", "unsupported_parameter", "response_format", path: chat),
        Fault("{\(hello), \"top_logprobs\": 2}", "invalid_value", "top_logprobs", path: chat),
        Fault("{\(hello), \"logprobs\": true, \"top_logprobs\": 21}", "invalid_value", "top_logprobs", path: chat),
        Fault("{\(hello), \"logprobs\": 3}", "invalid_type", "logprobs", path: chat),
        Fault("{}", "missing_required_parameter", "content", path: "/tokenize"),
        Fault(#"{"tokens": [257]}"#, "invalid_value", "tokens", path: "/detokenize"),
        Fault("{}", "unknown_url", status: 404, path: "/v1/embeddings"),
        Fault("{}", "method_not_allowed", status: 405, path: "/v1/models"),
    ]

    private static let server = Result { try TestServer(Scratch()) }

    @Test(arguments: faults) func faultsAreTold(fault: Fault) async throws {
        let server = try Self.server.get()
        let reply = await server.send(APIRequest(method: "POST", path: fault.path, body: Data(fault.body.utf8)))
        #expect(reply.status == fault.status, "\(String(decoding: reply.body, as: UTF8.self))")
        let error = try reply.error()
        #expect(error["code"] as? String == fault.code && error["param"] as? String == fault.param, "\(error)")
        #expect(error["type"] as? String == "invalid_request_error" && (error["message"] as? String)?.isEmpty == false)
        #expect(reply.headers["Content-Type"] == "application/json")
    }

    /// What asks for nothing that is not there, and what is not known, is passed over.
    @Test func harmlessFieldsArePassedOver() async throws {
        let server = try Self.server.get()
        let reply = try await server.complete(
            [1, 2, 3],
            [
                "n": 1, "best_of": 1, "echo": false, "logit_bias": [String: Int](), "user": "a", "presence_penalty": 0, "suffix": NSNull(),
                "stop": NSNull(), "seed": NSNull(), "something_new": ["a": [1]],
            ])
        #expect(reply.status == 200)
        let chat = try await server.post(
            Self.chat,
            [
                "messages": [["role": "user", "content": [["type": "text", "text": "a"]], "name": "x"]], "tools": [Int](),
                "response_format": ["type": "text"], "max_tokens": 1, "tool_choice": "auto", "store": true,
            ])
        #expect(chat.status == 200)
    }

    @Test func bytesThatAreNoTextAreRefused() async throws {
        let body = Data(#"{"prompt": ""#.utf8) + [0xFF, 0xFE] + Data(#""}"#.utf8)
        let reply = try await Self.server.get().send(APIRequest(method: "POST", path: "/v1/completions", body: body))
        #expect(try reply.status == 400 && reply.error()["code"] as? String == "invalid_utf8")
    }

    @Test func aModelWithoutAFormatRefusesChats() async throws {
        let server = try TestServer(Scratch(), chat: nil)
        let reply = try await server.post(Self.chat, ["messages": [["role": "user", "content": "a"]]])
        #expect(try reply.status == 400 && reply.error()["code"] as? String == "no_chat_template")
    }

    @Test func limitsOfTheServerHold() async throws {
        var limits = ServingLimits()
        (limits.maxTokens, limits.contextTokens) = (20, 100)
        let server = try TestServer(Scratch(), limits: limits)
        #expect(try await server.complete([1, 2], maxTokens: 21).error()["code"] as? String == "invalid_value")
        let prompt = [Int32](repeating: 5, count: 95)
        #expect(try await server.complete(prompt, maxTokens: 7).error()["code"] as? String == "context_length_exceeded")
        // The last new token needs no position.
        #expect(try await server.complete(prompt, maxTokens: 6).usage("completion_tokens") == 6)
    }

    @Test func thoseWithoutTheKeyAreKeptOut() async throws {
        let server = try TestServer(Scratch(), key: "secret-key")
        for key in [nil, "", "secret-ke", "secret-key2", "Secret-key", "xxxxxxxxxx"] {
            let reply = await server.get("/v1/models", key: key)
            #expect(reply.status == 401 && reply.headers["WWW-Authenticate"] == "Bearer", "\(key ?? "none")")
            #expect(try reply.error()["code"] as? String == "invalid_api_key" && reply.error()["type"] as? String == "authentication_error")
        }
        #expect(try await server.post("/v1/completions", ["prompt": "a"]).status == 401)
        #expect(await server.get("/metrics").status == 401)
        #expect(await server.get("/v1/models", key: "secret-key").status == 200)
        #expect(await server.get("/health").status == 200)
        #expect(!server.log.joined().contains("secret"))
    }

    @Test(arguments: ["", "  \n", "ä", "two words"]) func unusableKeysAreRefused(key: String) {
        #expect(throws: (any Error).self) { try APIKey(key, source: "file") }
    }

    @Test func pagesOfOtherSitesAreNotAnswered() async throws {
        let server = try Self.server.get()
        for (origin, status) in [("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:8080", 200)] {
            let reply = await server.send(
                APIRequest(
                    method: "POST", path: "/tokenize", origin: origin, host: "127.0.0.1:8080", body: Data(#"{"content": "a"}"#.utf8)))
            #expect(reply.status == status, "\(origin)")
        }
    }
}
