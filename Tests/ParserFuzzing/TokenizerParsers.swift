import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats

extension FuzzedParser {
    /// The tokenizer and its settings.
    static let tokenizerParsers: [FuzzedParser] = [
        FuzzedParser(name: "tokenizer") { model in
            Prepared(samples: try tokenizers(model)) { try use(Tokenizer(path: $0)) }
        },
        FuzzedParser(name: "tokenizer-settings") { model in
            let samples = [
                #"{"add_bos_token":true,"bos_token":"<|begin_of_text|>"}"#,
                #"{"bos_token":{"content":"<|begin_of_text|>","lstrip":false}}"#,
            ]
            return Prepared(samples: try samples.map(Sample.init(json:))) { path in
                _ = try Tokenizer(path: model.path + "/tokenizer.json", settingsPath: path)
            }
        },
    ]

    /// Encodes and decodes as the program would.
    static func use(_ tokenizer: Tokenizer) throws {
        let encoded = tokenizer.encodeWithOffsets(text)
        guard encoded.ids == tokenizer.encode(text), encoded.ids.count == encoded.scalarRanges.count else {
            throw FuzzFailure(description: "offsets and tokens differ")
        }
        let ids = encoded.ids + [-1, 0, 1, 2, 1, .max]
        var stream = TextStream(tokenizer)
        let parts = ids.map { stream.append($0) } + [stream.finish()]
        guard parts.joined().unicodeScalars.elementsEqual(tokenizer.decode(ids).unicodeScalars) else {
            throw FuzzFailure(description: "a stream's text and the whole text differ")
        }
        _ = tokenizer.decode(ids, skippingSpecialTokens: true)
    }

    /// What tokenizers stumble over: contractions, runs of digits and spaces, newlines, marks that compose, syllables, joined
    /// emoji, control characters, and control tokens.
    private static let text =
        "abc ab'll I'M 1234567 \t  x\r\n\r\n<|begin_of_text|>e\u{301}é \u{1100}\u{1161}\u{11A8}漢字\u{1F469}\u{200D}\u{1F469}\u{0}\u{7F}"
        + "\u{17F}'\u{17F} \u{A0}\u{2028}  <|x|>" + String(repeating: "ab", count: 40) + "   "

    /// Without merges, and with merges, added tokens, composition and each rule.
    private static func tokenizers(_ model: FuzzingModel) throws -> [Sample] {
        let data = try model.read("tokenizer.json")
        guard let plain = try JSONSerialization.jsonObject(with: data) as? [String: Any], let bytes = plain["model"] as? [String: Any],
            let vocabulary = bytes["vocab"] as? [String: Int]
        else { throw FuzzFailure(description: "no tokenizer") }
        let rules = [
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        ]
        var steps = plain
        steps["pre_tokenizer"] = [
            "type": "Sequence",
            "pretokenizers": [
                ["type": "Digits", "individual_digits": true] as [String: Any],
                ["type": "Split", "pattern": ["String": "ab"], "behavior": "MergedWithPrevious", "invert": true],
                ["type": "ByteLevel", "add_prefix_space": true, "use_regex": true],
                ["type": "Split", "pattern": ["Regex": #"\p{N}{1,3}"#], "behavior": "Contiguous", "invert": false],
            ],
        ]
        steps["added_tokens"] = [
            ["id": 256, "content": "<|x|>", "special": true, "normalized": false, "lstrip": true, "rstrip": true] as [String: Any],
            ["id": 290, "content": "ab", "special": false, "normalized": true, "single_word": true],
        ]
        steps["post_processor"] = [
            "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "x"]], ["Sequence": ["id": "A"]]],
            "special_tokens": ["x": ["id": "x", "ids": [256], "tokens": ["x"]] as [String: Any]],
        ]
        var poor = vocabulary
        for spelling in ["a", "\u{120}", "\u{10A}"] { poor[spelling] = nil }
        steps["model"] = ["type": "BPE", "vocab": poor, "merges": [String](), "unk_token": "b", "fuse_unk": true, "byte_fallback": true]
        return [try Sample(lines: data), Sample([try JSONTree(parsing: JSONSerialization.data(withJSONObject: steps))])]
            + (try rules.enumerated().map { index, rule in
                var root = plain
                root["normalizer"] = ["type": "NFC"]
                root["pre_tokenizer"] = [
                    "type": "Sequence",
                    "pretokenizers": [
                        ["type": "Split", "pattern": ["Regex": rule], "behavior": "Isolated", "invert": false] as [String: Any],
                        ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
                    ],
                ]
                root["added_tokens"] = [
                    ["id": 256, "content": "<|begin_of_text|>", "special": true, "normalized": false] as [String: Any],
                    ["id": 259, "content": "e\u{301}", "special": false, "normalized": true, "lstrip": false, "single_word": false],
                ]
                root["model"] = [
                    "type": "BPE", "vocab": vocabulary.merging(["ab": 257, "abc": 258]) { $1 }, "ignore_merges": index == 0,
                    "merges": index == 0 ? ["a b", "ab c"] as [Any] : [["a", "b"], ["ab", "c"]], "dropout": NSNull(), "unk_token": NSNull(),
                    "byte_fallback": false,
                ]
                return Sample([try JSONTree(parsing: JSONSerialization.data(withJSONObject: root))])
            })
    }
}
