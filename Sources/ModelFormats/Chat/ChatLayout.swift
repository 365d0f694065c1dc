/// What a format writes around texts.
struct ChatLayout {
    /// A text's beginning and end in a turn.
    struct Turn {
        let before: String
        let after: String

        func text(_ content: String) -> String { before + content + after }
    }

    /// How a system text is given.
    enum System {
        case turn(Turn)
        /// Before what the user says first, or last, with this between them.
        case inUserTurn(separator: String, isLast: Bool = false)
    }

    /// The begin-of-text token that comes first, if the tokenizer names none itself; nil where none comes first.
    var begin: String?
    var prefix = ""
    var system: System
    let user: Turn
    /// What the answer follows.
    let answer: String
    /// An earlier answer, in a conversation that goes on.
    let answered: Turn
    /// Texts lose white space at their ends.
    var trims = false
    /// Texts that must be tokens of their own.
    var markers: [String] = []
    /// Tokens that end an answer.
    let ends: [String]
    /// The system text where none is given.
    var usualSystem: String?
}

extension ChatLayout {
    /// The layout of a format, as a template varies it; without a template its usual form.
    init(_ format: ChatFormat, _ template: ChatTemplate?) {
        switch format {
        case .chatml: self = .chatml(template)
        case .llama3: self = .llama3
        case .gemma: self = .gemma
        case .mistral: self = .mistral(template)
        case .phi: self = template?.contains("<|im_sep|>") ?? false ? .phi4 : .phi3(template)
        case .glm: self = .glm(template)
        case .zephyr: self = .zephyr
        }
        // A template says whether it writes the token; formats by name do what their first models do.
        if let template {
            let own = begin ?? "<s>"
            begin = template.contains("bos_token") || template.contains(own) ? own : nil
        }
    }

    private static func chatml(_ template: ChatTemplate?) -> ChatLayout {
        func turn(_ role: String) -> Turn { Turn(before: "<|im_start|>\(role)\n", after: "<|im_end|>\n") }
        var layout = ChatLayout(
            system: .turn(turn("system")), user: turn("user"), answer: "<|im_start|>assistant\n", answered: turn("assistant"),
            markers: ["<|im_start|>", "<|im_end|>"],
            ends: ["<|im_end|>"])
        // A system text that the template itself spells out is what it gives where a conversation has none.
        let texts = template?.between("<|im_start|>system\n", "<|im_end|>") ?? []
        layout.usualSystem = texts.first { text in !text.contains { "'\"{}+".contains($0) } }
        return layout
    }

    private static var llama3: ChatLayout {
        func turn(_ role: String) -> Turn { Turn(before: "<|start_header_id|>\(role)<|end_header_id|>\n\n", after: "<|eot_id|>") }
        return ChatLayout(
            begin: "<|begin_of_text|>", system: .turn(turn("system")), user: turn("user"), answer: turn("assistant").before,
            answered: turn("assistant"), trims: true,
            markers: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], ends: ["<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"])
    }

    private static var gemma: ChatLayout {
        ChatLayout(
            begin: "<bos>", system: .inUserTurn(separator: "\n\n"),
            user: Turn(before: "<start_of_turn>user\n", after: "<end_of_turn>\n"), answer: "<start_of_turn>model\n",
            answered: Turn(before: "<start_of_turn>model\n", after: "<end_of_turn>\n"), trims: true,
            markers: ["<start_of_turn>", "<end_of_turn>"], ends: ["<end_of_turn>", "<eos>"])
    }

    /// Versions differ in the spaces beside the marks, and the newest mark system texts.
    private static func mistral(_ template: ChatTemplate?) -> ChatLayout {
        let marksSystem = template?.contains("[SYSTEM_PROMPT]") ?? false
        let opens =
            if let template { [" [INST] ", "[INST] "].first { template.writes($0) } ?? "[INST]" } else { "[INST] " }
        let closes = template.map { !$0.contains(" [/INST]") } ?? false ? "[/INST]" : " [/INST]"
        let spacesAnswers = template.map { $0.contains("' ' + message") || $0.contains("\" \" + message") } ?? false
        return ChatLayout(
            begin: "<s>",
            system: marksSystem
                ? .turn(Turn(before: "[SYSTEM_PROMPT]", after: "[/SYSTEM_PROMPT]"))
                : .inUserTurn(separator: "\n\n", isLast: template?.contains("loop.last") ?? false),
            user: Turn(before: opens, after: closes), answer: "", answered: Turn(before: spacesAnswers ? " " : "", after: "</s>"),
            ends: ["</s>"])
    }

    /// Phi-4-mini has no line ends behind its marks.
    private static func phi3(_ template: ChatTemplate?) -> ChatLayout {
        let lineEnd = template?.contains("'<|' + message") ?? false ? "" : "\n"
        func turn(_ role: String) -> Turn { Turn(before: "<|\(role)|>\(lineEnd)", after: "<|end|>\(lineEnd)") }
        return ChatLayout(
            system: .turn(turn("system")), user: turn("user"), answer: "<|assistant|>\(lineEnd)",
            answered: turn("assistant"), markers: ["<|user|>", "<|assistant|>", "<|end|>"],
            ends: ["<|end|>", "<|endoftext|>"])
    }

    private static var phi4: ChatLayout {
        func turn(_ role: String) -> Turn { Turn(before: "<|im_start|>\(role)<|im_sep|>", after: "<|im_end|>") }
        return ChatLayout(
            system: .turn(turn("system")), user: turn("user"), answer: turn("assistant").before, answered: turn("assistant"),
            markers: ["<|im_start|>", "<|im_sep|>", "<|im_end|>"], ends: ["<|im_end|>", "<|endoftext|>"])
    }

    private static func glm(_ template: ChatTemplate?) -> ChatLayout {
        func turn(_ role: String) -> Turn { Turn(before: "<|\(role)|>\n", after: "") }
        let endsLine = template?.text.replacing(#"\n"#, with: "\n").contains("<|assistant|>\n") ?? false
        return ChatLayout(
            prefix: "[gMASK]<sop>", system: .turn(turn("system")), user: turn("user"),
            answer: endsLine ? "<|assistant|>\n" : "<|assistant|>", answered: turn("assistant"),
            markers: ["[gMASK]", "<sop>", "<|user|>", "<|assistant|>"], ends: ["<|user|>", "<|observation|>", "<|endoftext|>"])
    }

    private static var zephyr: ChatLayout {
        func turn(_ role: String) -> Turn { Turn(before: "<|\(role)|>\n", after: "</s>\n") }
        return ChatLayout(
            system: .turn(turn("system")), user: turn("user"), answer: "<|assistant|>\n", answered: turn("assistant"), markers: ["</s>"],
            ends: ["</s>"])
    }
}
