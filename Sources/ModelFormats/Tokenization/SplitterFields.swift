import AttentionCore

extension TextSplitter {
    /// The steps of `pre_tokenizer`, nested ones in their place.
    ///
    /// - Parameter isByteLevel: becomes true when a step spells bytes with characters.
    /// - Throws: `InputError` (`unsupported`), naming the step, for one that is not known; `invalidData` for a broken one.
    init(_ steps: [JSONFields], isByteLevel: inout Bool) throws(InputError) {
        for step in steps {
            let type = try step.string("type")
            switch type {
            case "Split": splits.append(try TextSplit(split: step, isSpelled: isByteLevel))
            case "Digits":
                let most = try step.bool("individual_digits", default: false) ? 1 : Int.max
                splits.append(TextSplit(pattern: .run(ScalarRun(.number, most: most)), isSpelled: isByteLevel))
            case "ByteLevel":
                guard !isByteLevel else { throw step.error("type", "must occur once", code: .unsupported) }
                isByteLevel = true
                if try step.bool("add_prefix_space", default: true) { append(.leadingSpace) }
                if try step.bool("use_regex", default: true) { splits.append(TextSplit(pattern: .rule(.gpt2))) }
            case "Metaspace":
                guard !isByteLevel else { throw step.error("type", "must not follow a ByteLevel step", code: .unsupported) }
                // Each can double a text, when cuts between them make new pieces.
                guard stages.count < Self.mostRewritings else {
                    throw step.error("type", "must occur at most \(Self.mostRewritings) times", code: .unsupported)
                }
                try append(metaspace: step)
            default:
                guard let others = try Self.others(type, step) else {
                    throw step.error(
                        "type",
                        "this pre-tokenizer is not supported: must be ByteLevel, Metaspace, Split, Digits, Whitespace, WhitespaceSplit, "
                            + "Punctuation, CharDelimiterSplit or BertPreTokenizer", code: .unsupported)
                }
                for var split in others {
                    split.isSpelled = isByteLevel
                    splits.append(split)
                }
            }
        }
    }

    private static let mostRewritings = 4

    /// Steps that are short for splits.
    private static func others(_ type: String, _ step: JSONFields) throws(InputError) -> [TextSplit]? {
        switch type {
        case "Whitespace": return [TextSplit(pattern: words, behavior: .removed, inverts: true)]
        case "WhitespaceSplit": return [TextSplit(pattern: whiteSpace, behavior: .removed)]
        case "BertPreTokenizer":
            return [TextSplit(pattern: whiteSpace, behavior: .removed), TextSplit(pattern: punctuation, behavior: .isolated)]
        case "Punctuation":
            let name = try step.string("behavior", default: SplitBehavior.isolated.rawValue)
            return [TextSplit(pattern: punctuation, behavior: try SplitBehavior(name, step))]
        case "CharDelimiterSplit":
            return [TextSplit(pattern: .text(Array(try step.string("delimiter").utf8)), behavior: .removed)]
        default: return nil
        }
    }

    /// Runs of words' parts, and runs of what is neither these nor white space.
    private static let words = SplitPattern.expression(
        ScalarExpression(
            .alternatives([
                .repeated(.set(ScalarSet(.word)), least: 1, most: nil, .greedy),
                .repeated(.set(ScalarSet([.word, .whiteSpace], isNegated: true)), least: 1, most: nil, .greedy),
            ]))!)
    private static let whiteSpace = SplitPattern(expression: #"\s"#)!
    /// Punctuation of Unicode and all of ASCII's signs.
    private static let punctuation = SplitPattern(expression: #"[!-/:-@\[-`{-~\p{P}]"#)!

    private mutating func append(metaspace step: JSONFields) throws(InputError) {
        let (mark, before) = try step.spaceMark()
        append(.spaceMarks(mark: mark, before: before))
        if try step.bool("split", default: true) {
            splits.append(TextSplit(pattern: .text(Array(String(mark).utf8)), behavior: .mergedWithNext))
        }
    }
}

extension JSONFields {
    /// The mark of a `Metaspace` step, and where it adds one. Files from before `prepend_scheme` say `add_prefix_space`.
    func spaceMark() throws(InputError) -> (mark: Unicode.Scalar, before: TextSplitter.LeadingMark) {
        let scalars = try string("replacement", default: "\u{2581}").unicodeScalars
        guard let mark = scalars.first, scalars.count == 1 else { throw error("replacement", "must be one character") }
        let adds = try bool("add_prefix_space", default: true)
        guard value("prepend_scheme") != nil else { return (mark, adds ? .always : .never) }
        guard let before = TextSplitter.LeadingMark(rawValue: try string("prepend_scheme")) else {
            throw error("prepend_scheme", "must be \"always\", \"first\" or \"never\"")
        }
        return (mark, before)
    }
}

extension SplitBehavior {
    fileprivate init(_ name: String, _ fields: JSONFields) throws(InputError) {
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw fields.error("behavior", "this behaviour of splits is not known", code: .unsupported)
        }
        self = behavior
    }
}

extension TextSplit {
    fileprivate init(split fields: JSONFields, isSpelled: Bool) throws(InputError) {
        let behavior = try SplitBehavior(try fields.string("behavior"), fields)
        guard let pattern = try fields.fields("pattern") else { throw fields.error("pattern", "is missing") }
        self.init(
            pattern: try SplitPattern(pattern, isSpelled: isSpelled), behavior: behavior,
            inverts: try fields.bool("invert", default: false), isSpelled: isSpelled)
    }
}

extension SplitPattern {
    /// A pattern written {"String": …} or {"Regex": …}.
    ///
    /// - Parameter isSpelled: true after a byte-level step, where it is looked for among the characters that spell the bytes.
    init(_ fields: JSONFields, isSpelled: Bool) throws(InputError) {
        if fields.value("String") != nil {
            let text = try fields.string("String")
            guard let bytes = isSpelled ? ByteAlphabet.decode(text) : Array(text.utf8) else {
                throw fields.error("String", "must consist of characters that stand for bytes, as it follows a ByteLevel step")
            }
            self = .text(bytes)
            return
        }
        guard let pattern = SplitPattern(expression: try fields.string("Regex")) else {
            throw fields.error(
                "Regex",
                "this regular expression is not supported: look-behind, back references, scripts other than Han, or too long",
                code: .unsupported)
        }
        self = pattern
    }
}
