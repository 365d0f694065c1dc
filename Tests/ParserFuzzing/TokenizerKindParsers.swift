import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats

extension FuzzedParser {
    /// Tokenizers of SentencePiece's kind, in each of their files, and chat templates.
    static let tokenizerKindParsers: [FuzzedParser] = [
        FuzzedParser(name: "tokenizer-kinds") { _ in
            Prepared(samples: try kinds.map(Sample.init(json:))) { try use(Tokenizer(path: $0)) }
        },
        FuzzedParser(name: "sentencepiece") { _ in
            Prepared(samples: [1, 2].map { Sample(bytes: sentencePiece(algorithm: $0)) }) { path in
                try use(Tokenizer(sentencePiecePath: path))
            }
        },
        FuzzedParser(name: "sentencepiece-settings") { model in
            let settings = #"""
                {"add_bos_token":true,"bos_token":"<s>","added_tokens_decoder":{"8":{"content":"<|z|>","special":true,"lstrip":true},
                "3":{"content":"c d","special":false,"normalized":true},"9":{"content":"<|y|>"}}}
                """#
            let pieces = try writePieces(model)
            return Prepared(samples: [try Sample(json: settings)]) { try use(Tokenizer(sentencePiecePath: pieces, settingsPath: $0)) }
        },
        FuzzedParser(name: "added-tokens") { model in
            let pieces = try writePieces(model)
            return Prepared(samples: [try Sample(json: #"{"<|z|>":8,"<|y|>":9,"c":3}"#)]) { path in
                try use(Tokenizer(sentencePiecePath: pieces, addedTokensPath: path))
            }
        },
        FuzzedParser(name: "gguf-tokenizer") { _ in
            Prepared(samples: try ggufFields.map(Sample.init(json:))) { path in
                guard let fields = try? JSONDecoder().decode(FieldsFile.self, from: Data(contentsOf: URL(fileURLWithPath: path))) else {
                    return
                }
                try use(Tokenizer(fields.fields, file: path))
            }
        },
        FuzzedParser(name: "chat-template") { model in
            let samples = [
                #"{"chat_template":"{{ bos_token }}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n<|im_start|>user' }}"}"#,
                #"{"chat_template":[{"name":"default","template":"[INST] <|user|> <|assistant|> eos_token"},{"name":"x","template":"[gMASK]"}]}"#,
            ]
            let folder = model.path + "/chat"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let tokenizer = try model.tokenizer()
            return Prepared(samples: try samples.map(Sample.init(json:))) { path in
                try model.install(path, as: "chat/tokenizer_config.json")
                guard let template = try ChatTemplate(directory: folder) else { return }
                for format in ChatFormat.allCases { _ = ChatPrompt(format, template: template, system: " a ", user: "b").text }
                let chat = ChatPrompt(try ChatFormat(template), template: template, user: "b")
                // The tokenizer lacks the marks of some formats.
                _ = try? chat.tokens(tokenizer)
                _ = chat.endsOfTurn(tokenizer)
            }
        },
    ]

    /// Byte pairs over characters and Unigram, with every kind of step.
    private static let kinds = [
        ##"""
        {"added_tokens":[{"id":0,"content":"<|x|>","special":true,"normalized":false},{"id":9,"content":"A b","special":false,"normalized":true}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Strip","strip_left":true,"strip_right":false},
        {"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"},{"type":"Nmt"},{"type":"StripAccents"}]},
        "pre_tokenizer":null,"post_processor":null,
        "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
        {"type":"Strip","content":" ","start":1,"stop":1}]},
        "model":{"type":"BPE","unk_token":"<u>","fuse_unk":true,"byte_fallback":true,"ignore_merges":false,"merges":[["a","b"],"▁ ab"],
        "vocab":{"<|x|>":0,"<u>":1,"<0xC3>":2,"<0x81>":3,"a":4,"b":5,"▁":6,"ab":7,"▁ab":8}}}
        """##,
        ##"""
        {"normalizer":{"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"NFKD"},{"type":"NFC"},{"type":"Replace","pattern":{"Regex":" {2,}"},
        "content":" "},{"type":"Precompiled","precompiled_charsmap":"DAAAAAAEAAAAAQAAAAAAAGFiAA=="}]},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},
        {"type":"Digits","individual_digits":true},{"type":"Punctuation","behavior":"MergedWithPrevious"},
        {"type":"Split","pattern":{"Regex":"(?i:ab|[c-f&&[^d]]{1,3})+?x|\\p{Lu}*+\\d(?!\\s)|[^\\W_]++"},"behavior":"Isolated","invert":false}]},
        "post_processor":{"type":"RobertaProcessing","cls":["<s>",0],"sep":["</s>",1]},
        "decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
        "model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["▁",-2.5],["a",-1],["ab",-1.25],["▁ab",-1e-3],["<0x0A>",0]]}}
        """##,
        ##"""
        {"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"BertPreTokenizer"},{"type":"Whitespace"},
        {"type":"CharDelimiterSplit","delimiter":"b"}]},"model":{"vocab":{"a":0,"b":1},"merges":[]}}
        """##,
    ]

    /// GGUF fields as JSON: the fields' own reader is another one.
    private struct FieldsFile: Decodable {
        let model: String
        let pre: String?
        let tokens: [String]
        let scores: [Float]?
        let types: [Int]?
        let merges: [String]?
        let begin, end: Int?
        let addsBegin, addsSpace: Bool?

        var fields: GGUFTokenizerFields {
            GGUFTokenizerFields(
                model: model, pre: pre, tokens: tokens, scores: scores, types: types, merges: merges, beginOfText: begin, endOfText: end,
                unknown: 0, padding: -1, addsBeginOfText: addsBegin, addsEndOfText: true, addsSpacePrefix: addsSpace, chatTemplate: nil)
        }
    }

    private static let ggufFields = [
        #"""
        {"model":"llama","tokens":["<unk>","<s>","</s>","<0x0A>","a","b","▁","ab","▁ab","  "],"scores":[0,0,0,0,-1,-2,-3,-0.5,-0.25,0],
        "types":[2,3,3,6,1,1,1,1,5,4],"begin":1,"end":2,"addsBegin":true,"addsSpace":true}
        """#,
        #"""
        {"model":"gpt2","pre":"qwen2","tokens":["a","b","Ġ","ab","Ġab","<|x|>"],"types":[1,1,1,1,1,3],"merges":["a b","Ġ ab"],"begin":5,"end":0}
        """#,
        #"{"model":"gpt2","pre":"llama-bpe","tokens":["a","b","ab"],"merges":["a b"],"begin":0,"end":1}"#,
    ]

    // MARK: SentencePiece models

    private static func writePieces(_ model: FuzzingModel) throws -> String {
        let path = model.path + "/tokenizer.model"
        try Data(sentencePiece(algorithm: 2)).write(to: URL(fileURLWithPath: path))
        return path
    }

    private static func sentencePiece(algorithm: Int) -> [UInt8] {
        func varint(_ value: Int) -> [UInt8] { value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7) }
        func field(_ number: Int, _ value: Int) -> [UInt8] { varint(number << 3) + varint(value) }
        func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(bytes.count) + bytes }
        func piece(_ text: String, _ score: Float, _ type: Int = 1) -> [UInt8] {
            let bits = withUnsafeBytes(of: score.bitPattern.littleEndian) { Array($0) }
            return field(1, field(1, Array(text.utf8)) + varint(2 << 3 | 5) + bits + field(3, type))
        }
        let pieces = [
            piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3), piece("a", -1), piece("b", -2), piece("\u{2581}", -3),
            piece("ab", -0.5), piece("<|x|>", 0, 4),
        ]
        let map: [UInt8] = [12, 0, 0, 0] + [0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Array("ab\0".utf8)
        let trainer = field(3, algorithm) + field(35, 1) + field(41, 1) + field(42, 2)
        return pieces.joined() + field(2, trainer) + field(3, field(2, map) + field(3, 1) + field(4, 1))
    }
}
