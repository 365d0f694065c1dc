/// Something asked of a model: a question at the end of a prompt, or a text to read along.
public struct EvaluationTask: Sendable, Hashable {
    public let id: String
    /// The kind of task, such as `needle`.
    public let name: String
    /// Prompt tokens, as the file's author counted them.
    public let length: Int
    /// Where in the text the fact stands that is asked for, from 0 (its beginning) to 1; nil where there is no one place.
    public let depth: Double?
    public let content: Content

    public enum Content: Sendable, Hashable {
        /// A prompt that the model continues.
        case question(Question)
        /// A text read in one prefill. Each span of it (Unicode scalars) is right when every token of it is the first choice given
        /// all that stands before; without spans, only the loss is of interest.
        case reading(text: String, answers: [Range<Int>])
    }

    /// A question with known answers.
    public struct Question: Sendable, Hashable {
        /// Ends where the answer begins.
        public let prompt: String
        /// At least one. Whether any or all of them are wanted is up to `scorer`.
        public let answers: [String]
        public let scorer: AnswerScorer
        /// What may be answered where the scorer is `classification` or `label`; empty for others.
        public let classes: [String]
        /// Only the first line that the model writes counts, newlines before it aside.
        public let onlyFirstLine: Bool
        /// New tokens at most; nil for what the longest answer can take, written less compactly than the tokenizer would.
        public let newTokens: Int?

        public init(
            prompt: String, answers: [String], scorer: AnswerScorer = .exactMatch, classes: [String] = [], onlyFirstLine: Bool = false,
            newTokens: Int? = nil
        ) {
            precondition(!answers.isEmpty, "a question has an answer")
            self.prompt = prompt
            self.answers = answers
            self.scorer = scorer
            self.classes = classes
            self.onlyFirstLine = onlyFirstLine
            self.newTokens = newTokens
        }

        /// The same with another prompt.
        func asked(_ prompt: String) -> Self {
            Self(
                prompt: prompt, answers: answers, scorer: scorer, classes: classes, onlyFirstLine: onlyFirstLine, newTokens: newTokens)
        }
    }

    public init(id: String, name: String, length: Int, depth: Double? = nil, content: Content) {
        self.id = id
        self.name = name
        self.length = length
        self.depth = depth
        self.content = content
    }

    /// All that a prefill of the task reads.
    public var text: String {
        switch content {
        case .question(let question): question.prompt
        case .reading(let text, _): text
        }
    }

    /// The same question with its answer behind it, to be read along: right when every token of the answer is the first choice of the
    /// prefill itself. Tasks without an answer that must be given word for word stay as they are.
    ///
    /// A greedy answer that is right is right here too, and the other way round, as long as decoding attends as the prefill does.
    /// Decoding with dense attention looks facts up that a sparse prefill has lost.
    public var answeredInPrefill: EvaluationTask {
        guard case .question(let question) = content, question.scorer == .exactMatch, question.answers.count == 1 else { return self }
        let start = question.prompt.unicodeScalars.count
        let answer = " " + question.answers[0]
        return EvaluationTask(
            id: id, name: name, length: length, depth: depth,
            content: .reading(text: question.prompt + answer + "\n", answers: [start..<start + answer.unicodeScalars.count]))
    }
}
