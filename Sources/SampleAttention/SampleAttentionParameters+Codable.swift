import AttentionCore

extension SampleAttentionParameters: Codable {
    private enum CodingKeys: String, CodingKey {
        case pattern, alpha, alphaSlashes, windowRatio, windowTokens, sampleRatio, sampling, samplingSeed, sinks, denseLastRows
        case columnScoring, columnCount, keyBlockCount, keyBlockTokens, scoredDimensions
    }

    private typealias Fields = KeyedDecodingContainer<CodingKeys>

    /// Reads the fields of a config file; `alphaSlashes`, `columnCount`, `sampling` and `samplingSeed` may be absent; windows and key blocks
    /// sample no rows and have neither `sampleRatio` nor `columnScoring`, and key blocks no `alpha` but `keyBlockCount`,
    /// `keyBlockTokens` and `scoredDimensions`, which is 1 where it is absent.
    ///
    /// - Throws: `InputError` (`usage`) or `DecodingError` that names the field: missing, out of range, or without meaning
    ///   beside the others.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let pattern = try fields.decode(Pattern.self, forKey: .pattern)
        self.init(
            alpha: pattern == .keyBlocks ? Self.standard.alpha : try fields.decode(Fraction.self, forKey: .alpha),
            window: try Self.window(fields), sampleRatio: Self.standard.sampleRatio)
        self.pattern = pattern
        try readKeyBlocks(fields)
        if pattern.writesSampling {
            sampleRatio = try fields.decode(Fraction.self, forKey: .sampleRatio)
            columnScoring = try fields.decode(ColumnScoring.self, forKey: .columnScoring)
        }
        alphaSlashes = try fields.decodeIfPresent(Fraction.self, forKey: .alphaSlashes)
        try Self.require(alphaSlashes == nil || pattern == .columnSlash, fields, .alphaSlashes, "needs the pattern column-slash")
        sampling = try fields.decodeIfPresent(Sampling.self, forKey: .sampling) ?? .stride
        samplingSeed = try Self.seed(fields, sampling: sampling) ?? Self.standardSamplingSeed
        sinks = try Self.count(fields, .sinks, atLeast: 0)
        columnCount = try Self.columnCount(fields, sinks: sinks, pattern: pattern)
        denseLastRows = try Self.count(fields, .denseLastRows, atLeast: 0)
    }

    /// Writes every field that has a meaning beside the others.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(pattern, forKey: .pattern)
        if pattern == .keyBlocks {
            try container.encode(keyBlockCount, forKey: .keyBlockCount)
            try container.encode(keyBlockTokens, forKey: .keyBlockTokens)
            try container.encode(scoredDimensions, forKey: .scoredDimensions)
        } else {
            try container.encode(alpha, forKey: .alpha)
        }
        if pattern == .columnSlash { try container.encodeIfPresent(alphaSlashes, forKey: .alphaSlashes) }
        if pattern == .stripeWindow { try container.encodeIfPresent(columnCount, forKey: .columnCount) }
        switch window {
        case .ratio(let ratio): try container.encode(ratio, forKey: .windowRatio)
        case .tokens(let count): try container.encode(count, forKey: .windowTokens)
        }
        try container.encode(sinks, forKey: .sinks)
        try container.encode(denseLastRows, forKey: .denseLastRows)
        guard pattern.writesSampling else { return }
        try container.encode(sampleRatio, forKey: .sampleRatio)
        try container.encode(sampling, forKey: .sampling)
        if sampling == .random { try container.encode(samplingSeed, forKey: .samplingSeed) }
        try container.encode(columnScoring, forKey: .columnScoring)
    }

    private static func window(_ fields: Fields) throws -> Window {
        if let ratio = try fields.decodeIfPresent(Fraction.self, forKey: .windowRatio) { return .ratio(ratio) }
        return .tokens(try count(fields, .windowTokens, atLeast: 1))
    }

    private mutating func readKeyBlocks(_ fields: Fields) throws {
        guard pattern == .keyBlocks else {
            for key in [CodingKeys.keyBlockCount, .keyBlockTokens, .scoredDimensions] {
                try Self.require(!fields.contains(key), fields, key, "needs the pattern key-blocks")
            }
            return
        }
        for key in [CodingKeys.alpha, .sampleRatio, .sampling, .samplingSeed, .columnScoring] {
            try Self.require(!fields.contains(key), fields, key, "has no meaning in the pattern key-blocks")
        }
        keyBlockCount = try Self.count(fields, .keyBlockCount, atLeast: 1)
        keyBlockTokens = try Self.whole(fields, .keyBlockTokens)
        try Self.require(
            Self.keyBlockLengths.contains(keyBlockTokens), fields, .keyBlockTokens, value: "\(keyBlockTokens)", Self.keyBlockLengthRule)
        scoredDimensions = try fields.decodeIfPresent(Fraction.self, forKey: .scoredDimensions) ?? .one
    }

    private static func columnCount(_ fields: Fields, sinks: Int, pattern: Pattern) throws -> Int? {
        guard fields.contains(.columnCount) else { return nil }
        try require(pattern == .stripeWindow, fields, .columnCount, "needs the pattern stripe-window")
        let count = try Self.count(fields, .columnCount, atLeast: 0)
        try require(count >= sinks, fields, .columnCount, value: "\(count)", "must be at least the \(sinks) sinks, which count")
        return count
    }

    private static func seed(_ fields: Fields, sampling: Sampling) throws -> UInt64? {
        guard fields.contains(.samplingSeed) else { return nil }
        try require(sampling == .random, fields, .samplingSeed, "needs the sampling random")
        // Foundation's own error for a number that does not fit names no field.
        let seed = try? fields.decode(UInt64.self, forKey: .samplingSeed)
        try require(seed != nil, fields, .samplingSeed, "must be a whole number from 0 to \(UInt64.max)")
        return seed
    }

    private static func whole(_ fields: Fields, _ key: CodingKeys) throws -> Int {
        // Foundation's own error for a number that is not whole names no field.
        if let number = try? fields.decode(Double.self, forKey: key), (try? fields.decode(Int.self, forKey: key)) == nil {
            try require(false, fields, key, value: "\(number)", "must be a whole number")
        }
        return try fields.decode(Int.self, forKey: key)
    }

    private static func count(_ fields: Fields, _ key: CodingKeys, atLeast minimum: Int) throws -> Int {
        let value = try whole(fields, key)
        try require(
            (minimum...1 << 40).contains(value), fields, key, value: "\(value)", "must be from \(minimum) to \(1 << 40)")
        return value
    }

    private static func require(
        _ condition: Bool, _ fields: Fields, _ key: CodingKeys, value: String? = nil, _ rule: String
    ) throws {
        guard !condition else { return }
        throw InputError(.usage, field: (fields.codingPath + [key]).fieldName, value: value, rule: rule)
    }
}

extension SampleAttentionParameters {
    /// What a block's length must be, for errors.
    package static var keyBlockLengthRule: String {
        "must be \(keyBlockLengths.dropLast().map(String.init).joined(separator: ", ")) or \(keyBlockLengths.last!)"
    }
}

extension SampleAttentionParameters.Pattern {
    /// Dense heads have always had fields of sampling in their files.
    fileprivate var writesSampling: Bool { self == .dense || samplesRows }
}
