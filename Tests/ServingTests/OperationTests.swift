import AttentionTestSupport
import Foundation
import Serving
import Testing

/// What is told of requests beside their answers.
@Suite struct OperationTests {
    private static let prompt = (0..<60).map { Int32($0 * 11 % 256) }

    @Test func metricsCount() async throws {
        let server = try TestServer(Scratch())
        for _ in 0..<2 { _ = try await server.complete(Self.prompt) }
        _ = try await server.post("/v1/completions", [:])
        _ = await server.get("/nowhere")
        let reply = await server.get("/metrics")
        let lines = String(decoding: reply.body, as: UTF8.self).split(separator: "\n").map(String.init)
        let expected = [
            #"requests_total{endpoint="/v1/completions",status="200"} 2"#, #"requests_total{endpoint="/v1/completions",status="400"} 1"#,
            #"requests_total{endpoint="other",status="404"} 1"#, "prompt_tokens_total 120", "cached_tokens_total 59",
            "generated_tokens_total 24", "requests_running 0", "requests_waiting 0", "prefix_cache_conversations 1",
            "time_to_first_token_seconds_count 2", #"time_to_first_token_seconds_bucket{le="+Inf"} 2"#, "prefill_seconds_count 2",
            #"density_bucket{le="0.75"} 0"#, #"density_bucket{le="1.0"} 2"#, "density_sum 2.0",
        ]
        for line in expected { #expect(lines.contains("sample_attention_" + line), "\(line)") }
        #expect(lines.contains("sample_attention_prefix_cache_bytes \(server.engine.prefixCache.bytes)"))
        // Every value has a type, and nothing is told twice.
        let names = lines.filter { $0.hasPrefix("# TYPE") }.map { $0.split(separator: " ")[2] }
        #expect(Set(names).count == names.count && names.count == 11)
    }

    @Test func aLineIsLoggedForEachRequest() async throws {
        let server = try TestServer(Scratch())
        _ = try await server.post("/v1/completions", ["prompt": "Call me Ishmael, said he", "max_tokens": 3, "temperature": 0])
        _ = try await server.post("/v1/completions", ["prompt": "Call me", "n": 2])
        #expect(server.log.count == 2 && !server.log.joined().contains("Ishmael"))
        let lines = try server.log.map { try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
        #expect(lines[0]["endpoint"] as? String == "/v1/completions" && lines[0]["status"] as? Int == 200)
        #expect(lines[0]["prompt_tokens"] as? Int == 25 && lines[0]["cached_tokens"] as? Int == 0)
        #expect(lines[0]["generated_tokens"] as? Int == 3 && lines[0]["density"] as? Double == 1)
        #expect(lines[1]["status"] as? Int == 400 && lines[1]["error"] as? String == "unsupported_parameter")
        #expect(lines[1]["prompt_tokens"] == nil && lines[0]["id"] as? String != lines[1]["id"] as? String)
    }
}
