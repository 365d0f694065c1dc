import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Serving
import Synchronization
import Testing

/// A server of a tiny model, asked without a socket.
final class TestServer: Sendable {
    let model: LanguageModel
    let engine: GenerationEngine
    let api: APIServer
    private let lines = Recorder()

    init(
        _ scratch: Scratch, policy: AttentionPolicy = .dense, limits: ServingLimits = ServingLimits(), key: String? = nil,
        chat: ChatFormat? = .mistral, shape: TinyModel.Shape = TinyModel.Shape(layers: 2), rotary: [String: Any]? = nil
    ) throws {
        let tiny = try TinyModel(scratch, shape: shape)
        if let rotary {
            tiny.configuration["rope_scaling"] = rotary
            try tiny.write()
        }
        model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        engine = GenerationEngine(model, policy: policy, limits: limits)
        api = APIServer(
            engine, modelName: "tiny", chat: chat.map { APIServer.ChatSettings(format: $0, template: nil) },
            key: try key.map { try APIKey($0, source: "test") }, log: { [lines] in lines.add($0) })
    }

    /// What was logged.
    var log: [String] { lines.all }

    func send(_ request: APIRequest) async -> Reply {
        let sink = RecordingSink()
        await api.answer(request, to: sink)
        return sink.reply
    }

    func get(_ path: String, key: String? = nil) async -> Reply {
        await send(APIRequest(method: "GET", path: path, authorization: key.map { "Bearer \($0)" }))
    }

    func post(_ path: String, _ body: [String: Any], key: String? = nil) async throws -> Reply {
        await send(
            APIRequest(
                method: "POST", path: path, authorization: key.map { "Bearer \($0)" },
                body: try JSONSerialization.data(withJSONObject: body)))
    }

    /// A greedy completion of some tokens.
    func complete(_ prompt: [Int32], maxTokens: Int = 12, _ more: [String: Any] = [:]) async throws -> Reply {
        let body = ["prompt": prompt, "max_tokens": maxTokens, "temperature": 0] as [String: Any]
        return try await post("/v1/completions", body.merging(more) { $1 })
    }

    /// What the model itself continues the prompt with, computed from nothing.
    func expected(_ prompt: [Int32], maxTokens: Int = 12) throws -> [Int32] {
        try blockingGeneration(model, prompt, maxTokens, .dense)
    }

    func text(_ tokens: [Int32]) -> String { model.tokenizer.decode(tokens, skippingSpecialTokens: true) }
}

/// In a function that is not async the blocking form is meant.
private func blockingGeneration(
    _ model: LanguageModel, _ prompt: [Int32], _ maxTokens: Int, _ policy: AttentionPolicy
) throws -> [Int32] {
    try model.generate(prompt, maxTokens: maxTokens, policy: policy, sampler: TokenSampler()).tokens
}

/// Lines that were logged.
private final class Recorder: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// What a client got.
struct Reply: Sendable {
    var status = 0
    var headers: [String: String] = [:]
    var body = Data()
    var hasEnded = false

    func json(_ location: SourceLocation = #_sourceLocation) throws -> [String: Any] {
        try #require(
            JSONSerialization.jsonObject(with: body) as? [String: Any], "\(String(decoding: body, as: UTF8.self))",
            sourceLocation: location)
    }

    /// The answer's only choice.
    func choice() throws -> [String: Any] { try #require((json()["choices"] as? [[String: Any]])?.first) }

    func text() throws -> String { try #require(choice()["text"] as? String) }

    func usage(_ name: String) throws -> Int { try #require((json()["usage"] as? [String: Any])?[name] as? Int) }

    /// Tokens that came from a kept conversation.
    func cachedTokens() throws -> Int {
        let usage = try #require(json()["usage"] as? [String: Any])
        return try #require((usage["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int)
    }

    func error() throws -> [String: Any] { try #require(json()["error"] as? [String: Any]) }

    /// The events of a streamed answer, each of which is one object, without the last, which says that it ends.
    func events() throws -> [[String: Any]] {
        let lines = String(decoding: body, as: UTF8.self).components(separatedBy: "\n\n")
        try #require(lines.count >= 2 && lines.last == "" && lines[lines.count - 2] == "data: [DONE]")
        return try lines.dropLast(2).map { line in
            try #require(line.hasPrefix("data: "))
            return try #require(JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8)) as? [String: Any])
        }
    }
}

/// Keeps what is sent.
private final class RecordingSink: AnswerSink {
    private let state = Mutex(Reply())

    var reply: Reply { state.withLock { $0 } }

    func send(status: Int, headers: [String: String], body: Data) {
        state.withLock { $0 = Reply(status: status, headers: headers, body: body, hasEnded: true) }
    }

    func begin(status: Int, headers: [String: String]) { state.withLock { $0 = Reply(status: status, headers: headers) } }
    func write(_ data: Data) { state.withLock { $0.body += data } }
    func end() { state.withLock { $0.hasEnded = true } }
}

/// Dense attention that holds the model's thread in its first layers until the test lets it go.
final class Gate: AttentionMethod {
    private let held = Mutex(0)
    private let release = DispatchSemaphore(value: 0)

    /// Calls of a layer that were begun.
    var calls: Int { held.withLock { $0 } }
    var canCertify: Bool { false }

    func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        held.withLock { $0 += 1 }
        // A guard against a hang.
        _ = release.wait(timeout: .now() + 600)
        return try SampleAttentionOperator(kernel: call.kernel).attend(
            call.inputs, parameters: Array(repeating: .dense, count: call.shape.queryHeads), promptLength: call.promptLength,
            output: output, logSumExp: logSumExp, workspace: workspace)
    }

    /// Lets so many layers go.
    func open(_ layers: Int) { for _ in 0..<layers { release.signal() } }
}

/// Returns when a condition holds, and says so when it does not within ten minutes, which is a guard against a hang.
func wait(until condition: () -> Bool, location: SourceLocation = #_sourceLocation) async throws {
    let deadline = ContinuousClock.now + .seconds(600)
    while !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(1)) }
    #expect(condition(), sourceLocation: location)
}
