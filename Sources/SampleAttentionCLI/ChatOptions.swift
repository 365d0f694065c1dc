import ArgumentParser
import AttentionCore
import LanguageModels
import ModelFormats

/// A prompt as a turn of a conversation.
struct ChatOptions: ParsableArguments {
    private static let automatic = "auto"

    @Option(
        defaultAsFlag: Self.automatic,
        help: ArgumentHelp(
            """
            Write the prompt as the user's turn of a conversation: \(ParameterOptions.choices(of: ChatFormat.self)), or auto: what the \
            model's chat template shows. The answer ends with its turn.
            """, valueName: "format"))
    var chat: String?

    @Option(
        parsing: .unconditional,
        help: "System text of the conversation (default: what the model's chat template gives, which may be none).")
    var system: String?

    /// - Throws: `InputError` (`usage`) for what cannot be meant, before anything is read.
    func check() throws(InputError) {
        if let chat, chat != Self.automatic { _ = try Self.format(chat) }
        if let system, chat == nil { throw InputError(.usage, field: "system", value: system, rule: "needs --chat") }
    }

    /// The prompt as a conversation; nil when none is asked for.
    func prompt(_ text: String, model: LanguageModel) throws(InputError) -> ChatPrompt? {
        guard let chat else { return nil }
        let template = try model.files.chatTemplate()
        if chat != Self.automatic { return ChatPrompt(try Self.format(chat), template: template, system: system, user: text) }
        guard let template else {
            throw InputError(
                .invalidData, file: model.files.path, field: "chat_template",
                rule: "is missing: name the format, \(ParameterOptions.choices(of: ChatFormat.self))")
        }
        return ChatPrompt(try ChatFormat(template), template: template, system: system, user: text)
    }

    private static func format(_ name: String) throws(InputError) -> ChatFormat {
        guard let format = ChatFormat(rawValue: name) else {
            let known = ([automatic] + ChatFormat.allCases.map(\.rawValue)).joined(separator: ", ")
            throw InputError(.usage, field: "chat", value: name, rule: "must be one of \(known)")
        }
        return format
    }
}
