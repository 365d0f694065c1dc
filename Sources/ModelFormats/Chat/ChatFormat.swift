import AttentionCore

/// How a conversation is written for a model that was trained on conversations.
public enum ChatFormat: String, CaseIterable, Sendable {
    /// `<|im_start|>user … <|im_end|>`: Qwen, SmolLM, InternLM2, Yi.
    case chatml
    /// `<|start_header_id|>user<|end_header_id|> … <|eot_id|>`: Llama 3.
    case llama3
    /// `<start_of_turn>user … <end_of_turn>`: Gemma.
    case gemma
    /// `[INST] … [/INST]`: Mistral.
    case mistral
    /// `<|user|> … <|end|>`: Phi-3; with separators, Phi-4.
    case phi
    /// `[gMASK]<sop><|user|> …`: GLM-4.
    case glm
    /// `<|user|> … </s>`: Zephyr, TinyLlama.
    case zephyr

    /// The format that a template writes.
    ///
    /// - Throws: `InputError` (`unsupported`) for a template of another format; it lists the names that may be given instead.
    public init(_ template: ChatTemplate) throws(InputError) {
        guard let format = Self.format(template) else {
            throw InputError(
                .unsupported, file: template.file, field: "chat_template",
                rule: "this format is not known: name one of \(Self.names), if one of them is what the model was trained with")
        }
        self = format
    }

    /// All names, for errors.
    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }

    private static func format(_ template: ChatTemplate) -> ChatFormat? {
        if template.contains("<|im_start|>") { return template.contains("<|im_sep|>") ? .phi : .chatml }
        if template.contains("<|start_header_id|>") { return .llama3 }
        if template.contains("<start_of_turn>") { return .gemma }
        if template.contains("[gMASK]") { return .glm }
        // Llama 2 marks system texts in a way of its own.
        if template.contains("[INST]") { return template.contains("<<SYS>>") ? nil : .mistral }
        // Phi-4-mini puts the role between the marks.
        if template.contains("<|end|>"), template.contains("'<|' + message") { return .phi }
        guard template.contains("<|user|>"), template.contains("<|assistant|>") else { return nil }
        if template.contains("<|end|>") { return .phi }
        let turn = template.between("<|user|>", "%}").first ?? ""
        return ["eos_token", "</s>"].contains { turn.contains($0) } ? .zephyr : nil
    }
}
