import AttentionTestSupport
import Foundation
import LanguageModels
import Serving
import Testing

/// What a kept conversation saves, and that it changes nothing.
@Suite struct PrefixCacheTests {
    private static func tokens(_ count: Int, _ step: Int) -> [Int32] { (0..<count).map { Int32($0 * step % 256) } }

    @Test func theNextTurnIsTheAnswerFromNothing() async throws {
        let server = try TestServer(Scratch())
        let first = Self.tokens(120, 11)
        let answer = try server.expected(first)
        #expect(try await server.complete(first).text() == server.text(answer))
        let second = first + answer + Self.tokens(20, 17)
        let expected = try server.expected(second)
        let reply = try await server.complete(second)
        // The answer's last token was never computed.
        #expect(try reply.cachedTokens() == 131 && reply.usage("prompt_tokens") == 152)
        #expect(try reply.text() == server.text(expected))
        let anew = try await server.complete(second, ["cache_prompt": false])
        #expect(try anew.cachedTokens() == 0 && anew.text() == reply.text())
    }

    /// At least the last token is computed, for its scores are needed.
    @Test func theSamePromptIsComputedForItsLastToken() async throws {
        let server = try TestServer(Scratch())
        let prompt = Self.tokens(80, 11)
        let first = try await server.complete(prompt)
        let again = try await server.complete(prompt)
        #expect(try again.cachedTokens() == 79 && again.text() == first.text())
    }

    @Test func streamedChatsGoOnToo() async throws {
        let server = try TestServer(Scratch())
        var messages = [["role": "user", "content": "What is the name of the white whale?"]]
        func ask() async throws -> [String: Any] {
            try await server.post("/v1/chat/completions", ["messages": messages, "max_tokens": 8, "temperature": 0]).json()
        }
        _ = try await ask()
        messages += [["role": "assistant", "content": "Moby"], ["role": "user", "content": "And the ship's?"]]
        let usage = try #require(try await ask()["usage"] as? [String: Any])
        let cached = (usage["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int
        // Begin-of-text, then "[INST] … [/INST]".
        #expect(cached == 1 + "[INST] What is the name of the white whale? [/INST]".utf8.count)
    }

    /// Rotary embeddings that turn tokens of longer sequences otherwise: what cannot be reused is not, and answers are those from nothing.
    @Test(arguments: [true, false]) func lengthsThatTurnTokensOtherwiseAreComputedAnew(isDynamic: Bool) async throws {
        let rotary: [String: Any] =
            isDynamic
            ? ["rope_type": "dynamic", "factor": 4.0]
            : [
                "rope_type": "longrope", "short_factor": [1.0, 1, 1, 1], "long_factor": [1.0, 2, 4, 8], "factor": 2.0,
                "original_max_position_embeddings": 100,
            ]
        let server = try TestServer(Scratch(), shape: TinyModel.Shape(layers: 2, positions: isDynamic ? 100 : 400), rotary: rotary)
        let tokens = Self.tokens(300, 11)
        // The prompt's length, and the tokens of it that may be reused.
        let turns = [
            (60, 0), (80, 60 + 11), (120, 0), (150, isDynamic ? 0 : 120 + 11), (90, isDynamic ? 89 : 80), (200, isDynamic ? 0 : 150),
        ]
        var seen: [Int32] = []
        for (length, reused) in turns {
            let prompt = Array((seen + tokens[seen.count...]).prefix(length))
            let reply = try await server.complete(prompt)
            #expect(try reply.text() == server.text(server.expected(prompt)), "\(length) tokens")
            #expect(try reply.cachedTokens() <= reused, "\(length) tokens")
            if length <= 80 { #expect(try reply.cachedTokens() == reused) }
            seen = prompt + (try server.expected(prompt))
        }
    }

    /// A conversation of which little is shared stays as it is, and both go on.
    @Test func aSharedBeginningIsCopied() async throws {
        let server = try TestServer(Scratch())
        let shared = Self.tokens(40, 11)
        let (long, other) = (shared + Self.tokens(100, 17), shared + Self.tokens(30, 23).dropFirst())
        _ = try await server.complete(long)
        let reply = try await server.complete(other)
        #expect(try reply.cachedTokens() == 40 && reply.text() == server.text(server.expected(other)))
        #expect(server.engine.prefixCache.conversations == 2)
        let again = try await server.complete(long)
        #expect(try again.cachedTokens() == 139 && again.text() == server.text(server.expected(long)))
    }

    /// Answers outgrow the room that was made for them.
    @Test func anAnswerMayBeLongerThanItsRoom() async throws {
        let server = try TestServer(Scratch(), shape: TinyModel.Shape(layers: 2, positions: 4096))
        let prompt = Self.tokens(20, 11)
        let reply = try await server.complete(prompt, maxTokens: 1300)
        #expect(try reply.text() == server.text(server.expected(prompt, maxTokens: 1300)))
        #expect(try reply.usage("completion_tokens") == 1300)
    }

    @Test func theLeastRecentlyUsedGoesFirst() async throws {
        let measured = try TestServer(Scratch())
        let prompts = [11, 17, 23].map { Self.tokens(60, $0).map { ($0 + 1) % 256 } }
        _ = try await measured.complete(prompts[0])
        var limits = ServingLimits()
        limits.prefixCacheBytes = 2 * measured.engine.prefixCache.bytes
        let server = try TestServer(Scratch(), limits: limits)
        for prompt in prompts.prefix(2) { _ = try await server.complete(prompt) }
        // Used again, the first is younger than the second.
        _ = try await server.complete(prompts[0])
        _ = try await server.complete(prompts[2])
        #expect(server.engine.prefixCache.bytes == limits.prefixCacheBytes && server.engine.prefixCache.conversations == 2)
        #expect(try await server.complete(prompts[0]).cachedTokens() == 59)
        #expect(try await server.complete(prompts[1]).cachedTokens() == 0)
        server.engine.prefixCache.drop(unusedSince: .now)
        #expect(server.engine.prefixCache.bytes == 0)
    }

    @Test func nothingIsKeptWithoutRoom() async throws {
        var limits = ServingLimits()
        limits.prefixCacheBytes = 0
        let server = try TestServer(Scratch(), limits: limits)
        let prompt = Self.tokens(60, 11)
        for _ in 0..<2 { #expect(try await server.complete(prompt).cachedTokens() == 0) }
    }
}
