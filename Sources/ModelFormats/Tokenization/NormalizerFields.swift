import AttentionCore

extension TextNormalization {
    /// The `normalizer` of a `tokenizer.json`; none when it is absent.
    ///
    /// - Throws: `InputError` (`unsupported`), naming the step, for one that is not known; `invalidData` for a broken one.
    init(_ fields: JSONFields?) throws(InputError) {
        guard let fields else { return }
        var growth = 1
        for part in try fields.flattened("normalizers") {
            let step = try NormalizationStep(part)
            growth = try part.growth(growth, times: step.growth, most: Self.mostGrowth)
            steps.append(step)
        }
    }

    /// Steps that could make more of a text than any tokenizer's do are refused: a chain of them could fill the memory with one letter.
    private static let mostGrowth = 1 << 14
}

extension NormalizationStep {
    fileprivate init(_ fields: JSONFields) throws(InputError) {
        let type = try fields.string("type")
        switch type {
        case "NFC", "NFD", "NFKC", "NFKD": self = .form(NormalizationForm(rawValue: type)!)
        case "Lowercase": self = .lowercase
        case "Strip":
            self = .strip(left: try fields.bool("strip_left", default: true), right: try fields.bool("strip_right", default: true))
        case "StripAccents": self = .stripAccents
        case "Nmt": self = .unusualSpaces
        case "Prepend": self = .prepend(try fields.string("prepend"))
        case "Replace":
            let (pattern, text) = try fields.replacement()
            self = .replace(pattern, with: text)
        case "Precompiled":
            let text = try fields.string("precompiled_charsmap")
            guard let bytes = CharacterMap.bytes(base64: text), let map = CharacterMap(bytes) else {
                throw InputError(
                    .invalidData, file: fields.file, field: fields.name("precompiled_charsmap"), value: "\(text.utf8.count) characters",
                    rule: "must be a character map in Base64")
            }
            self = .characterMap(map)
        default:
            throw fields.error(
                "type",
                "this normaliser is not supported: must be NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Nmt, Prepend, Replace or "
                    + "Precompiled", code: .unsupported)
        }
    }
}

extension JSONFields {
    /// The growth of all steps up to this one.
    ///
    /// - Throws: `InputError` (`unsupported`) when it is more than `most`.
    func growth(_ before: Int, times own: Int, most: Int) throws(InputError) -> Int {
        let (product, overflows) = before.multipliedReportingOverflow(by: own)
        guard !overflows, product <= most else {
            throw error("type", "this step and those before it could make a text more than \(most) times as long", code: .unsupported)
        }
        return product
    }

    /// The pattern and the text of a `Replace` step. The text may be empty.
    func replacement() throws(InputError) -> (SplitPattern, String) {
        guard let pattern = try fields("pattern") else { throw error("pattern", "is missing") }
        guard let text = value("content")?.string else { throw error("content", "must be a text") }
        return (try SplitPattern(pattern, isSpelled: false), text)
    }
}
