import AttentionTestSupport
import Foundation
import LanguageModels
import SampleAttention
import Testing

/// What answers say, held against what the model itself computes.
@Suite struct CompletionTests {
    private static let prompt = (0..<60).map { Int32($0 * 11 % 256) }

    @Test func aCompletionIsTheModelsOwn() async throws {
        let server = try TestServer(Scratch())
        let expected = try server.expected(Self.prompt)
        let reply = try await server.complete(Self.prompt)
        #expect(reply.status == 200 && Set(expected).count > 1)
        #expect(try reply.text() == server.text(expected))
        #expect(try reply.choice()["finish_reason"] as? String == "length")
        #expect(try reply.usage("prompt_tokens") == 60 && reply.usage("completion_tokens") == 12 && reply.usage("total_tokens") == 72)
        let timings = try #require(reply.json()["timings"] as? [String: Any])
        #expect(timings["prompt_n"] as? Int == 60 && timings["density"] as? Double == 1 && timings["attention"] as? String == "dense")
        #expect(timings["prompt_ms"] as? Double ?? 0 > 0 && timings["predicted_per_second"] as? Double ?? 0 > 0)
    }

    /// Also where characters are cut between tokens, which are bytes here.
    @Test(arguments: ["/v1/completions", "/v1/chat/completions"]) func streamedPiecesAreTheAnswer(path: String) async throws {
        let server = try TestServer(Scratch())
        let isChat = path.contains("chat")
        let question = isChat ? ["messages": [["role": "user", "content": "Näher"]]] : ["prompt": "Näher"] as [String: Any]
        let body = question.merging(["max_tokens": 40, "temperature": 0, "cache_prompt": false]) { $1 }
        let whole = try await server.post(path, body).choice()
        let text = try #require(isChat ? (whole["message"] as? [String: Any])?["content"] as? String : whole["text"] as? String)
        let reply = try await server.post(
            path, body.merging(["stream": true, "stream_options": ["include_usage": true]]) { $1 })
        #expect(reply.hasEnded && reply.headers["Content-Type"]?.hasPrefix("text/event-stream") ?? false)
        let events = try reply.events()
        let choices = events.compactMap { ($0["choices"] as? [[String: Any]])?.first }
        let pieces = choices.compactMap { isChat ? ($0["delta"] as? [String: Any])?["content"] as? String : $0["text"] as? String }
        #expect(pieces.joined() == text && pieces.count > 3 && !text.isEmpty)
        #expect(choices.compactMap { $0["finish_reason"] as? String } == ["length"])
        if isChat { #expect(choices.map { ($0["delta"] as? [String: Any])?["role"] as? String == "assistant" }.firstIndex(of: true) == 0) }
        let last = try #require(events.last)
        #expect((last["choices"] as? [Any])?.isEmpty ?? false)
        #expect((last["usage"] as? [String: Any])?["completion_tokens"] as? Int == 40 && last["timings"] != nil)
        #expect(Set(events.compactMap { $0["id"] as? String }).count == 1)
    }

    @Test func aStopTextEndsTheAnswerBeforeIt() async throws {
        let server = try TestServer(Scratch())
        // Letters alone, so that tokens and characters are the same.
        let whole = try await server.complete(Self.prompt, maxTokens: 60).text()
        let characters = Array(whole)
        let stop = String(characters[20..<23])
        let end = try #require(whole.range(of: stop)).lowerBound
        for stops in [stop, ["never written", stop]] as [Any] {
            for stream in [false, true] {
                let reply = try await server.complete(Self.prompt, maxTokens: 60, ["stop": stops, "stream": stream])
                let choices = try stream ? reply.events().compactMap { ($0["choices"] as? [[String: Any]])?.first } : [reply.choice()]
                #expect(choices.compactMap { $0["text"] as? String }.joined() == whole[..<end])
                #expect(choices.compactMap { $0["finish_reason"] as? String } == ["stop"])
            }
        }
        // A stop that begins and does not end is text.
        let reply = try await server.complete(Self.prompt, maxTokens: 60, ["stop": whole.suffix(2) + "\u{1}"])
        #expect(try reply.text() == whole)
    }

    @Test func logProbabilitiesAreThoseOfTheScores() async throws {
        let server = try TestServer(Scratch())
        let expected = try server.expected(Self.prompt, maxTokens: 3)
        let reply = try await server.complete(Self.prompt, maxTokens: 3, ["logprobs": 5])
        let told = try #require(reply.choice()["logprobs"] as? [String: Any])
        let logprobs = try #require(told["token_logprobs"] as? [Double])
        let top = try #require(told["top_logprobs"] as? [[String: Double]])
        for index in 0..<3 {
            let scores = try await server.model.prefill(
                Self.prompt + expected[..<index], cache: server.model.makeCache(capacity: 70), policy: .dense
            ).logits.map(Double.init)
            let total = log(scores.reduce(0) { $0 + exp($1) })
            let own = scores.map { $0 - total }
            #expect(abs(logprobs[index] - own[Int(expected[index])]) < 1e-4)
            let highest = own.sorted(by: >).prefix(5)
            // Bytes that are no characters are written alike, and stand there once.
            #expect(top[index].values.allSatisfy { value in highest.contains { abs($0 - value) < 1e-4 } })
            #expect(top[index].values.max() == logprobs[index], "greedy takes the likeliest")
        }
        #expect(told["text_offset"] as? [Int] == [0, 1, 2].map { server.text(Array(expected[..<$0])).utf8.count })
    }

    @Test func chatsTellBytesAndWhatMightHaveBeen() async throws {
        let server = try TestServer(Scratch())
        let reply = try await server.post(
            "/v1/chat/completions",
            [
                "messages": [["role": "user", "content": "a"]], "max_completion_tokens": 4, "temperature": 0, "logprobs": true,
                "top_logprobs": 2,
            ])
        let places = try #require((reply.choice()["logprobs"] as? [String: Any])?["content"] as? [[String: Any]])
        #expect(places.count == 4)
        for place in places {
            let top = try #require(place["top_logprobs"] as? [[String: Any]])
            #expect(top.count == 2 && top[0]["bytes"] as? [Int] == place["bytes"] as? [Int])
            #expect(top[0]["logprob"] as? Double ?? 0 >= top[1]["logprob"] as? Double ?? 0)
            #expect((place["bytes"] as? [Int])?.count == 1, "a token is a byte")
        }
    }

    @Test func aSeedDrawsTheSameAnswer() async throws {
        let server = try TestServer(Scratch())
        func text(_ seed: Int) async throws -> String {
            try await server.complete(Self.prompt, maxTokens: 30, ["temperature": 1.5, "seed": seed]).text()
        }
        let first = try await text(7)
        #expect(try await text(7) == first)
        #expect(try await text(8) != first)
    }

    /// `top_p` of nothing leaves the likeliest token.
    @Test func topPOfNothingIsGreedy() async throws {
        let server = try TestServer(Scratch())
        let reply = try await server.complete(Self.prompt, ["temperature": 2, "top_p": 0])
        #expect(try reply.text() == server.text(server.expected(Self.prompt)))
    }

    @Test func aCertificateIsGivenWhenItIsAskedFor() async throws {
        let server = try TestServer(Scratch(), policy: .fixed(.standard, name: "sample"))
        let prompt = (0..<400).map { Int32($0 * 7 % 256) }
        #expect(try await server.complete(prompt).json()["certificate"] == nil)
        let reply = try await server.complete(prompt, ["certificate": true, "cache_prompt": false])
        let certificate = try #require(reply.json()["certificate"] as? [String: Any])
        let mean = try #require(certificate["mean_mass"] as? Double)
        let bound = try #require(certificate["least_mean_lower_bound"] as? Double)
        #expect(0 < bound && bound <= mean && mean <= 1 && certificate["heads"] as? Int == 4)
        #expect(certificate["first_token"] as? Int == 0 && certificate["tokens"] as? Int == 400)
    }

    @Test func tokensGoBothWays() async throws {
        let server = try TestServer(Scratch())
        let tokens = try await server.post("/tokenize", ["content": "Ahab é"]).json()["tokens"] as? [Int]
        #expect(tokens == Array("Ahab é".utf8).map(Int.init))
        let prompt = try await server.post("/tokenize", ["content": "A", "add_special": true]).json()["tokens"] as? [Int]
        #expect(prompt == [256, 65])
        #expect(try await server.post("/detokenize", ["tokens": tokens!]).json()["content"] as? String == "Ahab é")
    }

    @Test func theModelIsListed() async throws {
        let models = try #require(try await TestServer(Scratch(), chat: nil).get("/v1/models").json()["data"] as? [[String: Any]])
        #expect(models.count == 1 && models[0]["id"] as? String == "tiny" && models[0]["context_length"] as? Int == 512)
        #expect(models[0]["chat"] as? Bool == false)
    }

    /// Nothing in the page asks other machines for anything.
    @Test func thePageLoadsNothing() async throws {
        let reply = try await TestServer(Scratch(), key: "secret").get("/")
        let page = String(decoding: reply.body, as: UTF8.self)
        #expect(reply.status == 200 && page.contains("</html>") && reply.headers["Content-Type"]?.hasPrefix("text/html") ?? false)
        #expect(!page.contains("http://") && !page.contains("https://") && page.contains("default-src 'none'"))
    }
}
