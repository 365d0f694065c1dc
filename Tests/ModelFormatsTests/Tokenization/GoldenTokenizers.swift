import Foundation
import ModelFormats
import Testing

/// Tokenizers of every kind with what Hugging Face's `tokenizers` makes of the texts of `strings.json`.
struct GoldenTokenizer: Sendable, CustomTestStringConvertible {
    /// What the reference gives for each text; nil where it is what the field before gives.
    struct Expected: Decodable, Sendable {
        let ids: [[Int32]]
        let idsWithSpecial: [[Int32]?]
        let decoded: [String]
        let decodedSkippingSpecial: [String?]
        let decodedFirstHalf: [String]
        let pretokensIgnoringAddedTokens: [[String]]?
    }

    static let names = [
        "bl-added", "bl-gpt2", "bl-llama3", "bl-missing-bytes", "bl-missing-bytes-unk", "bl-qwen2", "sp-bpe-gemma", "sp-bpe-metaspace",
        "sp-bpe-plain", "sp-bpe-prefix", "sp-unigram", "sp-unigram-legacy",
    ]

    let name: String
    var testDescription: String { name }

    static func all() -> [GoldenTokenizer] { names.map { GoldenTokenizer(name: $0) } }

    /// A file of this tokenizer.
    func path(_ file: String) throws -> String {
        try #require(Bundle.module.url(forResource: "golden/tokenizers/\(name)/\(file)", withExtension: nil)).path
    }

    func expected() throws -> Expected {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Expected.self, from: Data(contentsOf: URL(fileURLWithPath: path("golden.json"))))
    }

    static func texts() throws -> [String] {
        let url = try #require(Bundle.module.url(forResource: "golden/tokenizers/strings", withExtension: "json"))
        return try JSONDecoder().decode([String].self, from: Data(contentsOf: url))
    }
}

/// Texts that are the same scalar by scalar: `String` itself takes composed and decomposed ones for equal.
func expectSame(_ own: String, _ expected: String, _ comment: Comment, location: SourceLocation = #_sourceLocation) {
    #expect(own.unicodeScalars.elementsEqual(expected.unicodeScalars), "\(comment): \(own.debugDescription)", sourceLocation: location)
}
