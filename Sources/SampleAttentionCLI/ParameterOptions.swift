import ArgumentParser
import AttentionCore
import SampleAttention

/// The parameters of SampleAttention, where a command takes one set for all heads.
struct ParameterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Pattern of every head: stripe-window, column-slash (128-token columns and diagonals), window (nothing sampled), key-blocks (a \
            window, and the best blocks of keys for each 64 rows) or dense.
            """))
    var headPattern: String?

    @Option(
        help: "Share of the sampled mass to keep, in (0, 1]. With column-slash, the share that columns alone keep: 0.95 leaves little out.")
    var alpha: Double?

    @Option(help: "Share that the slashes of column-slash keep, in (0, 1] (default: alpha).")
    var alphaSlashes: Double?

    @Option(help: "Blocks of keys that key-blocks keeps for each 64 query rows (default: 8).")
    var keyBlocks: Int?

    @Option(help: "Keys of a block of key-blocks: 16, 32 or 64 (default: 32).")
    var keyBlockTokens: Int?

    @Option(help: "Share of a head's coordinates that key-blocks scores with, in (0, 1] (default: 1).")
    var scoredDimensions: Double?

    @Option(help: "Window as a share of the prompt, in (0, 1].")
    var windowRatio: Double?

    @Option(help: "Window as a number of tokens, instead of a ratio.")
    var windowTokens: Int?

    @Option(help: "Share of the query rows scored for the selection, in (0, 1].")
    var sampleRatio: Double?

    @Option(help: "Which rows are scored: stride, tail-blocks, last-rows or random.")
    var sampling: String?

    @Option(help: "First keys that are always kept.")
    var sinks: Int?

    @Option(help: "Rows at the prompt's end that see everything.")
    var denseLastRows: Int?

    @Option(help: "Which mass chooses columns: window-aware or all-mass (the paper's rule).")
    var columnScoring: String?

    /// True when any of them was given.
    var areGiven: Bool {
        [alpha, alphaSlashes, windowRatio, sampleRatio, scoredDimensions].contains { $0 != nil }
            || [windowTokens, sinks, denseLastRows, keyBlocks, keyBlockTokens].contains { $0 != nil }
            || [headPattern, sampling, columnScoring].contains { $0 != nil }
    }

    /// The standard parameters with what was given in their place.
    ///
    /// - Parameter seed: for rows sampled at random.
    func parameters(seed: UInt64) throws(InputError) -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.standard
        if let alpha { parameters.alpha = try Fraction(alpha, field: "alpha") }
        if let windowRatio { parameters.window = .ratio(try Fraction(windowRatio, field: "window-ratio")) }
        if let windowTokens { parameters.window = .tokens(try Self.count(windowTokens, "window-tokens", atLeast: 1)) }
        if let sampleRatio { parameters.sampleRatio = try Fraction(sampleRatio, field: "sample-ratio") }
        if let sinks { parameters.sinks = try Self.count(sinks, "sinks", atLeast: 0) }
        if let denseLastRows { parameters.denseLastRows = try Self.count(denseLastRows, "dense-last-rows", atLeast: 0) }
        if let keyBlocks { parameters.keyBlockCount = try Self.count(keyBlocks, "key-blocks", atLeast: 1) }
        if let keyBlockTokens {
            guard SampleAttentionParameters.keyBlockLengths.contains(keyBlockTokens) else {
                throw InputError(
                    .usage, field: "key-block-tokens", value: "\(keyBlockTokens)", rule: SampleAttentionParameters.keyBlockLengthRule)
            }
            parameters.keyBlockTokens = keyBlockTokens
        }
        if let scoredDimensions { parameters.scoredDimensions = try Fraction(scoredDimensions, field: "scored-dimensions") }
        if let headPattern { parameters.pattern = try Self.choice(headPattern, "head-pattern") }
        if let sampling { parameters.sampling = try Self.choice(sampling, "sampling") }
        if parameters.sampling == .random { parameters.samplingSeed = seed }
        if let columnScoring { parameters.columnScoring = try Self.choice(columnScoring, "column-scoring") }
        if let alphaSlashes { parameters.alphaSlashes = try Fraction(alphaSlashes, field: "alpha-slashes") }
        try refuseUnused(by: parameters.pattern)
        if windowRatio != nil, windowTokens != nil {
            throw InputError(.usage, field: "window-tokens", rule: "give a window as a ratio or as tokens, not both")
        }
        return parameters
    }

    /// A density takes the place of every option that says how much is kept.
    func refuseShares() throws(InputError) {
        let shares = [
            ("alpha", alpha.map { "\($0)" }), ("alpha-slashes", alphaSlashes.map { "\($0)" }),
            ("window-ratio", windowRatio.map { "\($0)" }), ("window-tokens", windowTokens.map { "\($0)" }),
            ("key-blocks", keyBlocks.map { "\($0)" }),
        ]
        for case (let field, let value?) in shares {
            throw InputError(.usage, field: field, value: value, rule: "cannot go with --density, which says how much is kept")
        }
    }

    /// An option that the pattern has no use for was meant for another pattern.
    private func refuseUnused(by pattern: SampleAttentionParameters.Pattern) throws(InputError) {
        let windows = [("window-ratio", windowRatio.map { "\($0)" }), ("window-tokens", windowTokens.map { "\($0)" })]
        let scoring = [("column-scoring", columnScoring)]
        let lines = [("alpha-slashes", alphaSlashes.map { "\($0)" })]
        let sampled = [("sample-ratio", sampleRatio.map { "\($0)" }), ("sampling", sampling)]
        let share = [("alpha", alpha.map { "\($0)" })]
        let blocks = [
            ("key-blocks", keyBlocks.map { "\($0)" }), ("key-block-tokens", keyBlockTokens.map { "\($0)" }),
            ("scored-dimensions", scoredDimensions.map { "\($0)" }),
        ]
        let any = [("sinks", sinks.map { "\($0)" }), ("dense-last-rows", denseLastRows.map { "\($0)" })]
        let selecting = "stripe-window or column-slash"
        let unused: [(options: [(String, String?)], needed: String)] =
            switch pattern {
            case .stripeWindow: [(lines, "column-slash"), (blocks, "key-blocks")]
            case .columnSlash: [(windows + scoring, "stripe-window"), (blocks, "key-blocks")]
            case .window: [(lines + sampled + scoring, selecting), (blocks, "key-blocks")]
            case .keyBlocks: [(share + lines + sampled + scoring, selecting)]
            case .dense: [(windows + scoring + lines + sampled + share + any, selecting), (blocks, "key-blocks")]
            }
        for (options, needed) in unused {
            for case (let field, let value?) in options {
                throw InputError(.usage, field: field, value: value, rule: "needs --head-pattern \(needed)")
            }
        }
    }

    /// - Parameter maximum: far above any use, and low enough that sizes made from counts stay inside 64 bits.
    static func count(_ value: Int, _ field: String, atLeast minimum: Int, atMost maximum: Int = 1 << 30) throws(InputError) -> Int {
        guard (minimum...maximum).contains(value) else {
            throw InputError(.usage, field: field, value: "\(value)", rule: "must be from \(minimum) to \(maximum)")
        }
        return value
    }

    static func positive(_ value: Double, _ field: String) throws(InputError) -> Double {
        guard value > 0, value.isFinite else { throw InputError(.usage, field: field, value: "\(value)", rule: "must be positive") }
        return value
    }

    static func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ text: String, _ field: String
    ) throws(InputError) -> Value {
        guard let value = Value(rawValue: text) else {
            throw InputError(.usage, field: field, value: text, rule: "must be \(choices(of: Value.self))")
        }
        return value
    }

    /// The names of all cases, as a sentence lists them.
    static func choices<Value: RawRepresentable<String> & CaseIterable>(of type: Value.Type) -> String {
        let names = type.allCases.map(\.rawValue)
        return "\(names.dropLast().joined(separator: ", ")) or \(names.last ?? "")"
    }
}
