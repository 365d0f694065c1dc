import AttentionCore
import Foundation

/// A prompt with the places `{context}` and `{input}` for a task's text and its question.
struct PromptTemplate: Sendable, Hashable {
    let text: String

    /// Places that the context or the input happen to spell stay as they are.
    func filled(context: String, input: String) -> String {
        text.components(separatedBy: "{context}").map { $0.replacingOccurrences(of: "{input}", with: input) }.joined(separator: context)
    }
}

extension PromptTemplate {
    /// For questions whose answer is a few words of the text.
    static let question = PromptTemplate(
        text: "{context}\n\nAnswer the question about the text above in as few words as you can.\nQuestion: {input}\nAnswer:")
}

/// Templates by dataset, read from a file in the format of LongBench's `dataset2prompt.json`:
/// `{"hotpotqa": "… {context} … {input} …", …}`.
public struct PromptTemplates: Sendable {
    private let file: String
    private let texts: [String: String]

    /// - Throws: `InputError`: `missingInput` when the file cannot be read, `invalidData` when it is no object of texts, or a text
    ///   has no place for the context.
    public init(contentsOf path: String) throws(InputError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the templates must be a readable file")
        }
        try ForeignEncoding.refuse(data, file: path)
        let texts: [String: String]
        do {
            texts = try JSONDecoder().decode([String: String].self, from: ForeignEncoding.withoutByteOrderMark(data))
        } catch {
            let fault = DecodingFault(error)
            throw InputError(
                .invalidData, file: path, field: fault.field,
                rule: "the templates must be a JSON object of texts by dataset\(fault.rule.map { ": \($0)" } ?? "")")
        }
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) where !text.contains("{context}") {
            throw InputError(.invalidData, file: path, field: name, value: text, rule: "must have the place {context}")
        }
        self.texts = texts
        file = path
    }

    /// - Throws: `InputError` (`invalidData`) without one: its prompts would pass for those of the file.
    func template(for dataset: String) throws(InputError) -> PromptTemplate {
        guard let text = texts[dataset] else {
            throw InputError(.invalidData, file: file, field: dataset, rule: "must have a template, because tasks of it are read")
        }
        return PromptTemplate(text: text)
    }
}
