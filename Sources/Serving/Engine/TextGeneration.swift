import AttentionCore
import LanguageModels
import ModelFormats
import SampleAttention

/// One generation: prefill of what the cache does not have, then token after token. Blocks its thread.
struct TextGeneration {
    let model: LanguageModel
    let policy: AttentionPolicy
    let request: GenerationRequest
    let prefixCache: PrefixCache
    let format: KeyValueCache.Format
    /// Tokens that the prefill takes at once; nil for all.
    let chunk: Int?
    let cancellation: Cancellation

    /// Room for so many positions and for what may follow: an answer of no set length, and the conversation's next turns. What is not used
    /// costs addresses alone, and little memory.
    private func capacity(for positions: Int) -> Int {
        max(positions, min(positions + max(positions / 4, 1024), model.description.longestSequence))
    }

    /// - Parameter onPiece: called on this thread as text becomes certain.
    /// - Throws: `CancellationError` before the next layer or token once it is cancelled; `InputError` as `LanguageModel.prefill`.
    func run(onPiece: (GeneratedPiece) -> Void) throws -> GenerationSummary {
        let start = ContinuousClock.now
        let known =
            request.reusesCache
            ? try prefixCache.take(request.prompt, capacity: capacity(for: request.prompt.count), model: model) : nil
        var cache = try known ?? model.makeCache(capacity: capacity(for: request.prompt.count), format: format)
        let reused = cache.count
        var seen = request.prompt
        // What was computed is kept, also of a generation that was cancelled.
        defer { prefixCache.keep(seen, cache) }
        var observer = CancellationObserver(cancellation: cancellation)
        let prefill = try model.prefill(
            Array(request.prompt[reused...]), cache: cache, policy: policy, chunk: chunk, observer: &observer)
        var sampler = request.sampler
        var text = PieceWriter(request, tokenizer: model.tokenizer)
        var logits = prefill.logits
        var token = sampler.next(logits)
        let firstToken = ContinuousClock.now
        var finish = FinishReason.stop
        var count = 0
        var decoder: TokenDecoder?
        while !isEnd(token) {
            count += 1
            let (piece, isStopped) = text.append(token, logits: logits)
            if let piece { onPiece(piece) }
            if isStopped { break }
            if count == request.maxTokens {
                finish = .length
                break
            }
            try cancellation.check()
            if cache.count == cache.capacity {
                cache = try cache.copy(first: cache.count, capacity: capacity(for: cache.count + 1))
                decoder = nil
            }
            let running = try decoder ?? TokenDecoder(model: model, cache: cache)
            decoder = running
            seen.append(token)
            // The decoder writes new scores in place of those that nobody holds.
            logits = []
            try running.append(token)
            logits = running.logits
            token = sampler.next(logits)
        }
        if let piece = text.finish() { onPiece(piece) }
        return GenerationSummary(
            finish: finish, promptTokens: request.prompt.count, cachedTokens: reused, generatedTokens: count, prefill: prefill.report,
            policyName: policy.name,
            certificate: CertificateSummary(prefill.report, certification: policy.certification, firstToken: reused),
            firstTokenSeconds: (firstToken - start).seconds, decodeSeconds: (ContinuousClock.now - firstToken).seconds)
    }

    private func isEnd(_ token: Int32) -> Bool {
        model.description.endOfText.contains(token) || request.endsOfTurn.contains(token)
    }
}

/// Turns tokens into pieces of text, cut at stop texts, with the log-probabilities of the tokens that begin in them.
private struct PieceWriter {
    private let tokenizer: Tokenizer
    private let topLogprobs: Int?
    private var stream: TextStream
    private var stops: StopTexts
    /// Of text that was made of tokens, and of that which was given away. Units: bytes of UTF-8.
    private var written = 0
    private var released = 0
    /// Of tokens whose text is held back.
    private var waiting: [TokenLogprob] = []
    private var isStopped = false

    init(_ request: GenerationRequest, tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        topLogprobs = request.topLogprobs
        stream = TextStream(tokenizer, skippingSpecialTokens: true)
        stops = StopTexts(request.stops)
    }

    /// The piece that became certain, if any, and whether the text ends with it.
    mutating func append(_ token: Int32, logits: [Float]) -> (piece: GeneratedPiece?, isStopped: Bool) {
        if let topLogprobs {
            waiting.append(TokenLogprob(token, logits: logits, count: topLogprobs, offset: written, tokenizer: tokenizer))
        }
        let text = stream.append(token)
        written += text.utf8.count
        let next = stops.append(text)
        isStopped = next.isStopped
        return (piece(next.text), next.isStopped)
    }

    /// What was held back.
    mutating func finish() -> GeneratedPiece? {
        if isStopped { return nil }
        let (text, stopped) = stops.append(stream.finish())
        isStopped = stopped
        return piece(stopped ? text : text + stops.finish())
    }

    /// Tokens go with the text that they begin in; those without text go with what comes before, unless that is held back.
    private mutating func piece(_ text: String) -> GeneratedPiece? {
        released += text.utf8.count
        let all = !isStopped && !stops.holdsBack
        let tokens = Array(waiting.prefix { all || $0.offset < released })
        waiting.removeFirst(tokens.count)
        return text.isEmpty && tokens.isEmpty ? nil : GeneratedPiece(text: text, tokens: tokens)
    }
}
