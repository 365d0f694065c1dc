import AttentionCore

/// What `tokenizer.ggml.pre` asks for: how texts are cut before bytes are merged, and what else goes with the name.
///
/// The names and their patterns are llama.cpp's (`llama-vocab.cpp`). Where it writes a pattern differently than the tokenizer that it
/// stands for, the tokenizer's own is taken, because that is what the model was trained with.
struct GGUFSplitRule {
    let splits: [TextSplit]
    var ignoresMerges = false
    /// Whether a prompt begins with its token where the file does not say.
    var addsBeginOfText = false
    var composes = false

    private init(_ patterns: [String]) {
        splits = patterns.map { pattern in
            guard let pattern = SplitPattern(expression: pattern) else { preconditionFailure("unknown pattern \(pattern)") }
            return TextSplit(pattern: pattern)
        }
    }

    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Llama 3's and Qwen2's, which differ in how many digits go together.
    private static func words(digits: String) -> String {
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// Bloom's: what lies between white space and the punctuation of several scripts.
    private static let sentences = #" ?[^(\s|.,!?…。，、।۔،)]+"#

    /// Those of o200k and Tekken, which cut words where capitals begin.
    private static func capitals(_ ending: String, digits: String) -> String {
        let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
        let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
        let head = #"[^\r\n\p{L}\p{N}]?"#
        return "\(head)\(upper)*\(lower)+\(ending)|\(head)\(upper)+\(lower)*\(ending)|\(digits)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// - Throws: `InputError` (`unsupported`) for a name that is not known.
    init(_ fields: GGUFTokenizerFields, _ place: TokenPlace) throws(InputError) {
        let three = #"\p{N}{1,3}"#
        switch fields.pre ?? "default" {
        case "default":
            self.init([#"[\p{P}\$\+<=>\^~\|]+"#, Self.gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"])
        case "gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4":
            self.init([Self.gpt2])
        case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b":
            self.init([#"\p{N}"#, Self.gpt2])
        case "falcon":
            self.init([#"[\p{P}\$\+<=>\^~\|`]+"#, Self.gpt2, "[0-9][0-9][0-9]"])
        case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2":
            self.init([Self.words(digits: three)])
            (ignoresMerges, addsBeginOfText) = (true, true)
        case "dbrx", "smaug-bpe", "chatglm-bpe", "glm4":
            self.init([Self.words(digits: three)])
        case "qwen2", "deepseek-r1-qwen", "megrez":
            self.init([Self.words(digits: #"\p{N}"#)])
            composes = true
        case "bloom", "gpt3-finnish", "poro-chat":
            self.init([Self.sentences])
        case "viking":
            self.init([Self.sentences, #"\p{N}"#])
        case "seed-coder":
            self.init([
                Self.contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#
            ])
        case "bailingmoe", "bailingmoe2", "llada-moe":
            self.init([
                #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
            ])
        case "stablelm2", "hunyuan", "grok-2":
            self.init([Self.words(digits: #"\p{N}"#)])
        case "gpt-4o", "llama4":
            self.init([Self.capitals(Self.contractions + "?", digits: three)])
        case "tekken":
            self.init([Self.capitals("", digits: #"\p{N}"#)])
            (ignoresMerges, addsBeginOfText) = (true, true)
        case "deepseek-v3":
            self.init([
                three, #"[一-龥぀-ゟ゠-ヿ]+"#,
                ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##
                    + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#,
            ])
        case let name:
            throw fields.error("pre", "this rule of cutting texts is not known", place, value: name, code: .unsupported)
        }
    }
}
