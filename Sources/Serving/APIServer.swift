import Foundation
import LanguageModels
import ModelFormats

/// A request as it arrives, whatever brought it.
package struct APIRequest: Sendable {
    package let method: String
    /// Without a query.
    package let path: String
    package let authorization: String?
    /// What a browser says of the page that sends the request, and the name that it was sent to.
    package let origin: String?
    package let host: String?
    package let body: Data

    package init(
        method: String, path: String, authorization: String? = nil, origin: String? = nil, host: String? = nil, body: Data = Data()
    ) {
        self.method = method
        self.path = path
        self.authorization = authorization
        self.origin = origin
        self.host = host
        self.body = body
    }
}

/// Takes an answer to the client. Methods throw when the client is gone, and return when the client keeps up.
package protocol AnswerSink: Sendable {
    /// A whole answer.
    func send(status: Int, headers: [String: String], body: Data) async throws
    /// The head of one that comes in parts.
    func begin(status: Int, headers: [String: String]) async throws
    func write(_ data: Data) async throws
    func end() async throws
}

/// Answers the requests of the API.
package final class APIServer: Sendable {
    let engine: GenerationEngine
    let chat: ChatSettings?
    /// What clients call the model.
    let modelName: String
    private let key: APIKey?
    private let log: @Sendable (String) -> Void
    let metrics = Metrics()
    let began = Date()

    /// How conversations are written; a server without them refuses chats.
    package struct ChatSettings: Sendable {
        let format: ChatFormat
        let template: ChatTemplate?

        package init(format: ChatFormat, template: ChatTemplate?) {
            self.format = format
            self.template = template
        }
    }

    /// - Parameters:
    ///   - key: that clients must show; nil lets everyone in.
    ///   - log: gets a line of JSON for each request.
    package init(
        _ engine: GenerationEngine, modelName: String, chat: ChatSettings? = nil, key: APIKey? = nil,
        log: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.engine = engine
        self.modelName = modelName
        self.chat = chat
        self.key = key
        self.log = log
    }

    package var limits: ServingLimits { engine.limits }

    /// Answers a request, or says why not. When the client leaves, its task is to be cancelled.
    package func answer(_ request: APIRequest, to sink: some AnswerSink) async {
        let exchange = Exchange(request, sink: sink, isTold: log)
        await exchange.run(counting: metrics, within: limits.requestTime) {
            try await self.answer(request, in: exchange)
        }
    }

    /// Says why a request was not even read.
    package func refuse(_ error: APIError, path: String, to sink: some AnswerSink) async {
        let exchange = Exchange(APIRequest(method: "", path: path), sink: sink, isTold: log)
        await exchange.run(counting: metrics, within: limits.requestTime) { throw error }
    }

    private func answer(_ request: APIRequest, in exchange: Exchange<some AnswerSink>) async throws {
        guard let endpoint = exchange.endpoint else { throw APIError(404, "There is no such endpoint.", code: "unknown_url") }
        try check(request, endpoint)
        switch endpoint {
        case .page: try await exchange.send(PackageResources.chat_html, type: "text/html; charset=utf-8")
        case .health: try await exchange.send(["status": "ok"])
        case .metrics: try await exchange.send(metrics.text(engine).utf8, type: "text/plain; version=0.0.4; charset=utf-8")
        case .models: try await exchange.send(ModelList(self))
        case .tokenize: try await exchange.send(tokenize(request.body))
        case .detokenize: try await exchange.send(detokenize(request.body))
        case .completions:
            let body = try JSONBody.decode(CompletionRequest.self, from: request.body)
            let generation = try self.request(for: body)
            try await generate(generation, fields: body.sampling, endpoint: .completion, in: exchange)
        case .chat:
            let body = try JSONBody.decode(ChatRequest.self, from: request.body)
            let generation = try self.request(for: body)
            try await generate(generation, fields: body.sampling, endpoint: .chat, in: exchange)
        }
    }

    private func check(_ request: APIRequest, _ endpoint: Endpoint) throws(APIError) {
        guard request.method == endpoint.method || request.method == "HEAD" && endpoint.method == "GET" else {
            throw APIError(405, "This endpoint takes \(endpoint.method) requests.", code: "method_not_allowed")
        }
        // Pages of other sites can make a browser send requests here, which must not cost hours of work.
        if let origin = request.origin, origin != "http://" + (request.host ?? ""), origin != "https://" + (request.host ?? "") {
            throw APIError(403, "Requests of other sites' pages are not answered.", code: "foreign_origin")
        }
        if !endpoint.isOpen, let key, !key.isShown(request.authorization) {
            throw APIError(
                401, "Incorrect API key provided: show it as 'Authorization: Bearer KEY'.", type: .authentication, code: "invalid_api_key")
        }
    }
}

/// What can be asked for.
enum Endpoint: String, CaseIterable, Sendable {
    case page = "/"
    case health = "/health"
    case metrics = "/metrics"
    case models = "/v1/models"
    case tokenize = "/tokenize"
    case detokenize = "/detokenize"
    case completions = "/v1/completions"
    case chat = "/v1/chat/completions"

    var method: String {
        switch self {
        case .page, .health, .metrics, .models: "GET"
        case .tokenize, .detokenize, .completions, .chat: "POST"
        }
    }

    /// True for what needs no key: it tells nothing of the model or of its users.
    var isOpen: Bool { self == .page || self == .health }
}
