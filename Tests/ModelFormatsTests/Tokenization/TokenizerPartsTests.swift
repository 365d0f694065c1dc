import Foundation
import ModelFormats
import Testing

/// Normalisers, pre-tokenizers and decoders, each by itself, against the reference (`golden/tokenizer-parts.py`).
@Suite struct TokenizerPartsTests {
    private let golden: [String: Any]

    init() throws {
        let url = try #require(Bundle.module.url(forResource: "golden/tokenizer-parts", withExtension: "json"))
        golden = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    }

    /// A tokenizer of whole pieces, without merges; "<s>" is an added token.
    private func tokenizer(_ tokens: [String], _ members: [String: Any]) throws -> Tokenizer {
        var fixture = TokenizerFixture()
        fixture.root = [
            "model": [
                "type": "BPE", "merges": [String](), "ignore_merges": true,
                "vocab": Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) }),
            ] as [String: Any]
        ].merging(members) { $1 }
        fixture.add("<s>", id: try #require(tokens.firstIndex(of: "<s>")))
        return try fixture.tokenizer()
    }

    @Test func piecesAreTheReferences() throws {
        let texts = try #require(golden["texts"] as? [String])
        let cases = try #require(golden["cases"] as? [[String: Any]])
        #expect(cases.count == 53)
        for one in cases {
            let name = try #require(one["name"] as? String)
            let members = one.filter { ["normalizer", "pre_tokenizer"].contains($0.key) }
            let expected = try #require(one["pieces"] as? [[String]])
            var tokens = [ScalarText("<s>")]
            for piece in Set(expected.joined().map(ScalarText.init)).subtracting(tokens) { tokens.append(piece) }
            let tokenizer = try Self.written(tokens.map(\.text), members)
            for (text, pieces) in zip(texts, expected) {
                let encoded = tokenizer.encodeWithOffsets(text)
                #expect(encoded.ids.map { tokens[Int($0)] } == pieces.map(ScalarText.init), "\(name), \(text.debugDescription)")
                #expect(encoded.ids == tokenizer.encode(text), "\(name), \(text.debugDescription)")
                let scalars = text.unicodeScalars.count
                #expect(encoded.scalarRanges.allSatisfy { 0 <= $0.lowerBound && $0.upperBound <= scalars }, "\(name)")
            }
        }
    }

    /// Written by hand, because dictionaries of Swift take composed and decomposed names for the same.
    private static func written(_ tokens: [String], _ members: [String: Any]) throws -> Tokenizer {
        func json(_ value: Any) throws -> String {
            String(decoding: try JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed), as: UTF8.self)
        }
        let vocabulary = try tokens.enumerated().map { try json($1) + ":\($0)" }.joined(separator: ",")
        var parts = [
            #""model":{"type":"BPE","merges":[],"ignore_merges":true,"vocab":{\#(vocabulary)}}"#,
            #""added_tokens":[{"id":0,"content":"<s>","special":true,"normalized":false}]"#,
        ]
        for (name, value) in members { parts.append(#""\#(name)":\#(try json(value))"#) }
        let directory = try TemporaryDirectory()
        return try Tokenizer(path: directory.write("{" + parts.joined(separator: ",") + "}", to: "tokenizer.json"))
    }

    @Test func decodedTextsAreTheReferences() throws {
        let tokens = try #require(golden["tokens"] as? [String])
        let lists = try #require(golden["lists"] as? [[Int]])
        let decoders = try #require(golden["decoders"] as? [[String: Any]])
        #expect(decoders.count == 13)
        for one in decoders {
            let name = try #require(one["name"] as? String)
            let tokenizer = try tokenizer(tokens, ["decoder": one["decoder"] ?? NSNull()])
            for (member, skipping) in [("texts", false), ("skipping", true)] {
                for (ids, text) in zip(lists, try #require(one[member] as? [Any])) {
                    guard let text = text as? String else { continue }
                    let ids = ids.map { Int32($0) }
                    expectSame(tokenizer.decode(ids, skippingSpecialTokens: skipping), text, "\(name) \(ids)")
                    var stream = TextStream(tokenizer, skippingSpecialTokens: skipping)
                    let parts = ids.map { stream.append($0) } + [stream.finish()]
                    expectSame(parts.joined(), text, "\(name) \(ids), token by token")
                }
            }
        }
    }

    /// Marks in an order that must be put right, in a run as long as the time that takes would tell.
    @Test(.timeLimit(.minutes(10)), arguments: ["NFC", "NFD", "NFKC", "NFKD"]) func longRunsOfMarksAreNotQuadratic(_ form: String) throws {
        var fixture = TokenizerFixture(pattern: nil)
        fixture.root["normalizer"] = ["type": form]
        let tokenizer = try fixture.tokenizer()
        let count = 200_000
        let marks = (0..<count).map { Unicode.Scalar($0 % 2 == 0 ? 0x302 : 0x316)! }
        let text = tokenizer.decode(tokenizer.encode("x" + String(String.UnicodeScalarView(marks))))
        let expected = [Unicode.Scalar("x")] + Array(repeating: "\u{316}", count: count / 2) + Array(repeating: "\u{302}", count: count / 2)
        #expect(text.unicodeScalars.elementsEqual(expected))
    }
}

/// A text that is another one when its scalars are, as tokens are.
private struct ScalarText: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ScalarText, right: ScalarText) -> Bool { left.text.unicodeScalars.elementsEqual(right.text.unicodeScalars) }

    func hash(into hasher: inout Hasher) {
        for scalar in text.unicodeScalars { hasher.combine(scalar) }
    }
}
