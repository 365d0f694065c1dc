import AttentionCore

/// Where a file keeps its tokens, so that errors about them name the right field whatever the format.
struct TokenPlace: Sendable {
    let file: String
    /// The field with the model's tokens, such as "model.vocab".
    let vocabulary: String
    /// The field with the tokens added to them.
    let added: String

    /// An error about one token of the model.
    func error(_ token: String, _ value: String?, _ rule: String) -> InputError {
        InputError(.invalidData, file: file, field: "\(vocabulary).\(token)", value: value, rule: rule)
    }

    /// An error about the vocabulary as a whole.
    func error(_ rule: String, value: String? = nil, code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: vocabulary, value: value, rule: rule)
    }

    static func json(_ model: JSONFields) -> TokenPlace {
        TokenPlace(file: model.file, vocabulary: model.name("vocab"), added: "added_tokens")
    }
}
