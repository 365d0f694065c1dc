import AttentionCore
import DurableFiles
import LanguageModels
import ModelFormats
import ProcessGroups
import SampleAttention
import SampleStatistics

/// Runs tasks and texts through a model with one attention policy.
public struct Evaluator: Sendable {
    public let model: LanguageModel
    public let policy: AttentionPolicy
    /// Tokens a prefill takes at once; nil takes all.
    public let chunk: Int?
    /// What decoding finds. Texts that are read along are scored in the prefill: nothing is evicted before that.
    public let cache: LanguageModel.CacheSettings

    public init(
        model: LanguageModel, policy: AttentionPolicy, chunk: Int? = nil, cache: LanguageModel.CacheSettings = .init()
    ) {
        self.model = model
        self.policy = policy
        self.chunk = chunk
        self.cache = cache.named(for: model)
    }

    /// One task's outcome.
    public struct Outcome: Sendable {
        /// The sum of the scores of all that was asked, each from 0 to 1: the number of right answers where they are right or wrong.
        public let score: Double
        /// What was asked.
        public let asked: Int
        /// Mean negative log-likelihood a token of a text that was read along, in nats; nil for questions.
        public let negativeLogLikelihood: Double?
        public let prefill: LanguageModel.PrefillReport
        /// What the model answered; nil where a text was read.
        public let answer: String?
    }

    /// - Throws: `InputError`, naming the task, when the prompt does not fit the model.
    public func run(_ task: EvaluationTask) throws -> Outcome {
        do {
            switch task.content {
            case .question(let question): return try ask(question)
            case .reading(let text, let answers): return try readAlong(text, answers: answers)
            }
        } catch let error as InputError {
            throw error.within("task \(task.id)")
        }
    }

    private func ask(_ question: EvaluationTask.Question) throws -> Outcome {
        let tokens = try model.promptTokens(for: question.prompt)
        // Room for the answer, or for all of them, written less compactly than the tokenizer would, and its newline.
        let lengths = question.answers.map { model.tokenizer.encode(" " + $0).count }
        let longest = question.scorer == .recall ? lengths.reduce(0, +) : lengths.max() ?? 0
        let limit = question.newTokens ?? 2 * longest + 8
        let generation = try model.generate(
            tokens, maxTokens: limit, policy: policy, chunk: chunk, cache: cache, sampler: TokenSampler(),
            shouldStop: { question.isComplete($0) })
        // Special tokens are not part of what a model says.
        let answer = model.tokenizer.decode(generation.tokens, skippingSpecialTokens: true)
        return Outcome(
            score: question.scorer.score(answer, question: question), asked: 1, negativeLogLikelihood: nil, prefill: generation.prefill,
            answer: answer)
    }

    private func readAlong(_ text: String, answers: [Range<Int>]) throws -> Outcome {
        let encoding = model.tokenizer.encodeWithOffsets(text)
        let begin = model.tokenizer.affixes.before
        let tokens = begin + encoding.ids
        let scores = try model.score(tokens, policy: policy, chunk: chunk, format: cache.format)
        let right = answers.filter { span in
            encoding.ids.indices.filter { encoding.scalarRanges[$0].overlaps(span) }.allSatisfy { index in
                let position = index + begin.count
                return position > 0 && scores.firstChoices[position - 1] == tokens[position]
            }
        }
        return Outcome(
            score: Double(right.count), asked: answers.count, negativeLogLikelihood: scores.negativeLogLikelihood, prefill: scores.report,
            answer: nil)
    }

    /// Loss on windows of a text.
    public struct Perplexity: Sendable {
        /// Mean negative log-likelihood a token over all windows, in nats; its exponential is the perplexity.
        public let negativeLogLikelihood: Double
        public let density: Double
        public let prefillSeconds: Double
    }

    /// Windows of a text to measure the loss on: begin-of-text and the `length` − 1 tokens from offset 0, stride, 2 · stride, …
    ///
    /// - Parameter tokens: the whole text's tokens, without begin-of-text.
    /// - Throws: `InputError` (`invalidData`) when the text is too short for the last window.
    public func windows(
        of tokens: [Int32], length: Int, count windows: Int, stride: Int, file: String
    ) throws(InputError) -> [[Int32]] {
        let begin = model.tokenizer.affixes.before
        let own = length - begin.count
        guard own > 1 else {
            throw InputError(.usage, field: "length", value: "\(length)", rule: "must leave at least two tokens of text in a window")
        }
        let needed = (windows - 1) * stride + own
        guard tokens.count >= needed else {
            throw InputError(
                .invalidData, file: file, value: "\(tokens.count) tokens",
                rule: "must hold the \(needed) tokens that \(windows) windows, \(stride) tokens apart, need")
        }
        return (0..<windows).map { begin + tokens[$0 * stride..<$0 * stride + own] }
    }

    /// - Parameters:
    ///   - windows: see `windows(of:length:count:stride:file:)`.
    ///   - group: ranks that share the windows out; each calls this with the same ones.
    ///   - advance: called after each window, on rank 0.
    public func perplexity(
        _ windows: [[Int32]], in group: any ProcessGroup = SoleProcess(), advance: () -> Void = {}
    ) throws -> Perplexity {
        let executor = WorkExecutor<Int, WindowLoss>(in: group)
        let losses = try executor.run(Array(windows.indices), progress: { _ in advance() }) { index in
            let scores = try model.score(windows[index], policy: policy, chunk: chunk, format: cache.format)
            return WindowLoss(
                negativeLogLikelihood: scores.negativeLogLikelihood, density: scores.report.density, prefillSeconds: scores.report.seconds)
        }.map { $0! }
        let count = Double(windows.count)
        return Perplexity(
            negativeLogLikelihood: losses.reduce(0) { $0 + $1.negativeLogLikelihood } / count,
            density: losses.reduce(0) { $0 + $1.density } / count, prefillSeconds: Quantiles.median(losses.map(\.prefillSeconds)))
    }

    private struct WindowLoss: Codable {
        let negativeLogLikelihood, density, prefillSeconds: Double
    }
}
