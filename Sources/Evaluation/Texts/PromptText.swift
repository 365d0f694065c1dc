import AttentionCore
import Foundation
import ModelFormats
import RunProvenance

/// A text file as tokens.
package struct PromptText {
    package let path: String
    /// For people: no other text of the same run has it. Programs tell texts apart by their digests.
    package private(set) var name: String
    package let sha256: String
    package let content: String
    /// Without begin-of-text.
    package let tokens: [Int32]
    private let beginOfText: [Int32]

    /// The texts of files in the order given, each text once; those whose files have one name are named so that it tells them apart.
    ///
    /// - Parameter note: called with a sentence for people about each text that is given twice.
    package static func distinct(
        _ paths: [String], tokenizer: Tokenizer, note: (String) -> Void
    ) throws(InputError) -> [PromptText] {
        var texts: [PromptText] = []
        for path in paths {
            let text = try PromptText(path: path, tokenizer: tokenizer)
            if let first = texts.first(where: { $0.sha256 == text.sha256 }) {
                note("\(path) is the text of \(first.path); it is read once")
            } else {
                texts.append(text)
            }
        }
        let names = uniqueNames(texts)
        for index in texts.indices { texts[index].name = names[index] }
        return texts
    }

    /// File names; with the folder where two are the same, and with the start of the digest where that does not tell them apart.
    private static func uniqueNames(_ texts: [PromptText]) -> [String] {
        let names = texts.map(\.name)
        let longer = texts.map { URL(fileURLWithPath: $0.path).pathComponents.suffix(2).joined(separator: "/") }
        return texts.indices.map { index in
            if names.count(where: { $0 == names[index] }) == 1 { return names[index] }
            let isUnique = longer.count(where: { $0 == longer[index] }) == 1
            return isUnique ? longer[index] : "\(names[index]) (\(texts[index].sha256.prefix(8)))"
        }
    }

    private init(path: String, tokenizer: Tokenizer) throws(InputError) {
        content = try TextFile.read(path)
        self.path = path
        name = URL(fileURLWithPath: path).lastPathComponent
        sha256 = ModelFormats.sha256(ofText: content)
        tokens = tokenizer.encode(content)
        beginOfText = tokenizer.affixes.before
    }

    package var identity: Provenance.Text { .init(name: name, sha256: sha256) }

    /// Begin-of-text and the tokens from `offset`, `length` in all.
    /// - Throws: `InputError` (`invalidData`) when the text is too short.
    package func prompt(length: Int, offset: Int = 0) throws(InputError) -> [Int32] {
        let own = length - beginOfText.count
        guard offset + own <= tokens.count else {
            throw InputError(
                .invalidData, file: path, field: "text", value: "\(tokens.count) tokens",
                rule: "must hold the \(offset + own) tokens that a length of \(length)\(offset > 0 ? " at offset \(offset)" : "") needs")
        }
        return beginOfText + tokens[offset..<offset + own]
    }
}
