import AttentionCore
import LanguageModels
import ModelFormats

extension TaskFile {
    /// How tasks of published benchmarks become prompts of a model: their files hold texts of any length, which are cut to fit.
    public struct Reading: Sendable {
        /// Of the model that will be asked.
        public let tokenizer: Tokenizer
        /// Tokens of a prompt at most, begin-of-text and room for the answer included. Each task is made once for every limit.
        public let limits: [Int]
        /// Prompts in other words than this library's; they must name every dataset that is read.
        public let templates: PromptTemplates?
        private let affixTokens: Int

        /// - Parameter limits: at least one.
        public init(tokenizer: Tokenizer, limits: [Int], templates: PromptTemplates? = nil) {
            precondition(!limits.isEmpty, "a prompt has a limit")
            self.tokenizer = tokenizer
            self.limits = limits
            self.templates = templates
            affixTokens = tokenizer.affixes.count
        }

        /// For a model's own prompts.
        public init(model: LanguageModel, limits: [Int], templates: PromptTemplates? = nil) {
            self.init(tokenizer: model.tokenizer, limits: limits, templates: templates)
        }

        /// The question as a task of each limit, its prompt cut to leave room for the answer.
        ///
        /// - Throws: `InputError` (`usage`) when a limit leaves no room for a prompt.
        func tasks(id: String, name: String, _ question: EvaluationTask.Question) throws(InputError) -> [EvaluationTask] {
            let newTokens = question.newTokens ?? 0
            var tasks: [EvaluationTask] = []
            for limit in limits {
                let room = limit - affixTokens - newTokens
                guard room >= 2 else {
                    throw InputError(
                        .usage, field: "length", value: "\(limit)",
                        rule: "must leave room for a prompt beside the \(newTokens) new tokens of \(name)")
                }
                let cut = question.asked(withoutMiddle(question.prompt, room: room))
                tasks.append(EvaluationTask(id: "\(name)-\(limit)-\(id)", name: name, length: limit, content: .question(cut)))
            }
            return tasks
        }

        /// The text, or its beginning and its end where it has more than `room` tokens: as LongBench cuts (arXiv 2308.14508,
        /// section 4), half the room for each, and less where the cut text would take more tokens than its two parts.
        /// No character is cut.
        func withoutMiddle(_ text: String, room: Int) -> String {
            let encoding = tokenizer.encodeWithOffsets(text)
            let ranges = encoding.scalarRanges
            guard ranges.count > room else { return text }
            let scalars = Array(text.unicodeScalars)
            var half = room / 2
            while true {
                let kept = scalars[..<ranges[half].lowerBound] + scalars[ranges[ranges.count - half - 1].upperBound...]
                let cut = String(String.UnicodeScalarView(kept))
                let excess = tokenizer.encode(cut).count - room
                guard excess > 0 else { return cut }
                half = max(0, half - (excess + 1) / 2)
            }
        }
    }

    /// A task's place in a file, for errors.
    struct Place {
        let file: String
        /// Such as "line 3".
        let row: String

        func refuse(_ field: String, _ value: String?, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
            InputError(code, file: file, field: "\(row), \(field)", value: value, rule: rule)
        }

        /// What a decoder found wrong with the row.
        func refuse(_ error: any Error) -> InputError {
            let fault = DecodingFault(error)
            guard let rule = fault.rule else {
                return InputError(.invalidData, file: file, field: row, rule: "must be a task object: broken JSON")
            }
            // In a list the field's name begins with the row's place in it.
            let field = fault.field.map { $0.replacing(/^\[[0-9]+\]\.?/, with: "", maxReplacements: 1) } ?? ""
            if field.isEmpty { return InputError(.invalidData, file: file, field: row, rule: "a task \(rule)") }
            return refuse(field, fault.value, rule)
        }
    }
}
