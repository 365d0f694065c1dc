import Foundation
import LanguageModels
import ModelFormats
import SampleAttention

/// Requests for text, whole and streamed.
extension APIServer {
    /// - Throws: `APIError` for what cannot be served.
    func request(for body: CompletionRequest) throws -> GenerationRequest {
        try checkModel(body.sampling.model)
        let prompt: [Int32]
        switch body.prompt {
        case .text(let text): prompt = try engine.model.promptTokens(for: text)
        case .tokens(let tokens): prompt = tokens
        }
        var request = try request(
            prompt: prompt, field: "prompt", fields: body.sampling, standard: CompletionRequest.standardMaxTokens)
        request.topLogprobs = body.logprobs
        return request
    }

    /// - Throws: `APIError` for what cannot be served.
    func request(for body: ChatRequest) throws -> GenerationRequest {
        try checkModel(body.sampling.model)
        guard let chat else {
            throw APIError(
                400, "The model has no chat template that is known; use /v1/completions, or start the server with --chat FORMAT.",
                code: "no_chat_template")
        }
        let conversation = try body.prompt(chat.format, template: chat.template)
        var request = try request(
            prompt: engine.model.promptTokens(for: conversation), field: "messages", fields: body.sampling, standard: .max)
        request.endsOfTurn = conversation.endsOfTurn(engine.model.tokenizer)
        request.topLogprobs = body.topLogprobs
        return request
    }

    private func checkModel(_ name: String?) throws(APIError) {
        guard let name, name != modelName else { return }
        throw APIError(
            404, "The model '\(name.prefix(100))' does not exist; this server has '\(modelName)'.", param: "model", code: "model_not_found")
    }

    /// - Parameter standard: new tokens where the request names no number, if there is room for so many.
    private func request(prompt: [Int32], field: String, fields: SamplingFields, standard: Int) throws -> GenerationRequest {
        let vocabulary = engine.model.description.vocabularySize
        guard !prompt.isEmpty else { throw APIError.invalid(field, "must not be empty") }
        guard prompt.allSatisfy({ (0..<Int32(vocabulary)).contains($0) }) else {
            throw APIError.invalid(field, "tokens must be from 0 to \(vocabulary - 1)")
        }
        let context = engine.contextLength
        // The last new token needs no position.
        let room = context - prompt.count + 1
        guard room >= 1, fields.maxTokens ?? 1 <= room else {
            throw APIError(
                400,
                "The context of \(context) tokens is too short for \(prompt.count) tokens of the prompt and \(fields.maxTokens ?? 1) new ones.",
                param: field, code: "context_length_exceeded")
        }
        let most = limits.maxTokens ?? .max
        if let asked = fields.maxTokens, asked > most { throw APIError.invalid("max_tokens", "must be at most \(most)") }
        var request = GenerationRequest(
            prompt: prompt, maxTokens: fields.maxTokens ?? min(standard, room, most),
            sampler: try fields.sampler(random: .random(in: 0 ... .max)))
        request.stops = fields.stop
        request.isCertified = fields.certificate
        request.reusesCache = fields.cachePrompt
        if fields.certificate, !engine.policy.canCertify {
            throw APIError(
                400, "'\(engine.policy.name)' attention cannot be certified.", param: "certificate", code: "unsupported_parameter")
        }
        return request
    }

    func generate(
        _ request: GenerationRequest, fields: SamplingFields, endpoint: GenerationEndpoint, in exchange: Exchange<some AnswerSink>
    ) async throws {
        let head = AnswerHead(
            id: endpoint.idPrefix + exchange.id, model: modelName, created: Int(Date().timeIntervalSince1970), endpoint: endpoint)
        let (pieces, source) = AsyncStream<GeneratedPiece>.makeStream()
        try await withThrowingTaskGroup(of: GenerationSummary.self) { group in
            group.addTask {
                defer { source.finish() }
                return try await self.engine.generate(request) { source.yield($0) }
            }
            func finished() async throws -> GenerationSummary {
                guard let summary = try await group.next() else { throw CancellationError() }
                exchange.note(summary)
                return summary
            }
            let answer = Answer(head: head, isPart: fields.stream, tellsLogprobs: request.topLogprobs != nil)
            if fields.stream {
                try await stream(pieces, as: answer, includesUsage: fields.includesUsage, in: exchange, finished: finished)
            } else {
                var whole = GeneratedPiece(text: "")
                for await piece in pieces {
                    whole.text += piece.text
                    whole.tokens += piece.tokens
                }
                var answer = answer
                answer.piece = whole
                answer.end(try await finished())
                try await exchange.send(answer)
            }
        }
    }

    private func stream(
        _ pieces: AsyncStream<GeneratedPiece>, as answer: Answer, includesUsage: Bool, in exchange: Exchange<some AnswerSink>,
        finished: () async throws -> GenerationSummary
    ) async throws {
        var isFirst = true
        for await piece in pieces {
            var event = answer
            event.piece = piece
            event.isFirst = isFirst
            isFirst = false
            try await exchange.sendEvent(event)
        }
        var last = answer
        last.end(try await finished())
        last.isFirst = isFirst
        let usage = last.usage
        last.usage = nil
        if includesUsage {
            // The usage comes in an event of its own without a choice, and what belongs to the whole answer with it.
            var total = answer
            (total.usage, total.timings, total.certificate) = (usage, last.timings, last.certificate)
            (last.timings, last.certificate) = (nil, nil)
            try await exchange.sendEvent(last)
            try await exchange.sendEvent(total)
        } else {
            try await exchange.sendEvent(last)
        }
        try await exchange.endEvents()
    }
}

extension Answer {
    fileprivate mutating func end(_ summary: GenerationSummary) {
        finish = summary.finish
        usage = Usage(
            promptTokens: summary.promptTokens, completionTokens: summary.generatedTokens, cachedTokens: summary.cachedTokens)
        timings = Timings(
            queueMilliseconds: summary.queueSeconds * 1000,
            firstTokenMilliseconds: (summary.queueSeconds + summary.firstTokenSeconds) * 1000, cachedTokens: summary.cachedTokens,
            promptTokens: summary.prefill.tokens, promptMilliseconds: summary.prefill.seconds * 1000,
            attentionMilliseconds: summary.prefill.attentionSeconds * 1000, density: summary.prefill.density,
            attention: summary.policyName, predictedTokens: summary.generatedTokens,
            predictedMilliseconds: summary.decodeSeconds * 1000)
        certificate = summary.certificate
    }
}
