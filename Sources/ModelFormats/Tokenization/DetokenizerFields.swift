import AttentionCore

extension Detokenizer.Steps {
    /// The `decoder` of a `tokenizer.json`.
    ///
    /// - Parameter isByteLevel: how tokens are spelt, which is how they are read where there is no decoder.
    /// - Throws: `InputError` (`unsupported`), naming the step, for one that is not known or stands where its effect is not known.
    init(_ fields: JSONFields?, isByteLevel: Bool) throws(InputError) {
        guard let fields else {
            if isByteLevel { spelling = .byteLevel } else { separator = " " }
            return
        }
        // A step that joins all tokens to one leaves the ones after it nothing but the whole text.
        var isWhole = false
        var growth = 1
        for step in try fields.flattened("decoders") {
            let type = try step.string("type")
            switch type {
            case "Fuse": isWhole = true
            case "ByteLevel":
                (spelling, isWhole) = (.byteLevel, true)
            case "ByteFallback":
                if !isWhole { spelling = .plain(fallsBack: true) }
            case "Strip" where isWhole: trimmings.append(try Detokenizer.Trimming(step))
            case "Strip":
                guard mark == nil, case .plain(fallsBack: false) = spelling else { throw Self.misplaced(step, type) }
                changes.append(.strip(try Detokenizer.Trimming(step)))
            case "Replace":
                guard !isWhole, mark == nil, case .plain(fallsBack: false) = spelling else { throw Self.misplaced(step, type) }
                let (pattern, text) = try step.replacement()
                growth = try step.growth(growth, times: pattern.growth(replacedBy: text), most: Self.mostGrowth)
                changes.append(.replace(pattern, with: text))
            case "Metaspace":
                guard !isWhole, mark == nil, case .plain(fallsBack: false) = spelling else { throw Self.misplaced(step, type) }
                let (scalar, before) = try step.spaceMark()
                mark = (scalar, before != .never)
            default:
                throw step.error(
                    "type",
                    "this decoder is not supported: must be ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip or a Sequence of them",
                    code: .unsupported)
            }
        }
        try checkOrder(fields)
    }

    /// As for normalisers; every token of the vocabulary is held as it becomes.
    private static let mostGrowth = 16

    private static func misplaced(_ step: JSONFields, _ type: String) -> InputError {
        step.error("type", "\(type) is not supported behind ByteFallback, Fuse, ByteLevel or Metaspace", code: .unsupported)
    }

    private func checkOrder(_ fields: JSONFields) throws(InputError) {
        if mark != nil, case .plain(fallsBack: false) = spelling { return }
        guard mark == nil else { throw fields.error("decoders", "Metaspace with bytes is not supported", code: .unsupported) }
        if case .byteLevel = spelling, let scalar = trimmings.first(where: { !$0.scalar.isASCII }) {
            throw InputError(
                .unsupported, file: fields.file, field: fields.name("decoders"), value: "\(scalar.scalar)",
                rule: "only ASCII can be stripped from bytes")
        }
    }
}

extension Detokenizer.Trimming {
    fileprivate init(_ step: JSONFields) throws(InputError) {
        let scalars = try step.string("content").unicodeScalars
        guard let scalar = scalars.first, scalars.count == 1 else { throw step.error("content", "must be one character") }
        let most = 1 << 20
        self.init(
            scalar: scalar, start: try step.integer("start", in: 0...most, default: 0),
            end: try step.integer("stop", in: 0...most, default: 0))
    }
}
