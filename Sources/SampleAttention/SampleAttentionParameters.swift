import AttentionCore

/// How one head of one layer attends during prefill.
///
/// Source: SampleAttention (arXiv 2406.15486): α, the window ratio r_w and the sampling ratio r_row are the paper's
/// hyperparameters. Sinks, token-count windows and window-aware scoring are this project's.
public struct SampleAttentionParameters: Hashable, Sendable {
    /// The family of patterns the head may use.
    public enum Pattern: String, Sendable, CaseIterable, Codable {
        /// Every causal key.
        case dense
        /// A sliding window and the key columns that selection finds.
        case stripeWindow = "stripe-window"
    }

    /// Which mass of a column counts when columns are chosen.
    public enum ColumnScoring: String, Sendable, CaseIterable, Codable {
        /// Only mass from rows whose window does not hold the column already.
        case windowAware = "window-aware"
        /// All mass, as the paper does; the window's share is paid for twice.
        case allMass = "all-mass"
    }

    /// The length of the window.
    public enum Window: Hashable, Sendable {
        /// ⌈ratio · prompt length⌉ positions (the paper's r_w).
        case ratio(Fraction)
        /// A fixed number of positions.
        case tokens(Int)

        /// Positions a row sees back from itself, itself included.
        public func positions(promptLength: Int) -> Int {
            switch self {
            case .ratio(let ratio): ratio.ceiling(of: promptLength)
            case .tokens(let count): max(1, min(count, promptLength))
            }
        }
    }

    public var pattern: Pattern = .stripeWindow
    /// The share of the sampled rows' mass that window and columns must hold.
    public var alpha: Fraction
    public var window: Window
    /// The share of query rows scored in stage 1 (r_row).
    public var sampleRatio: Fraction
    /// Keys at the start that are always kept; not negative.
    public var sinks = 0
    /// Rows at the prompt's end that see everything.
    public var denseLastRows = 64
    public var columnScoring: ColumnScoring = .windowAware

    public init(alpha: Fraction, window: Window, sampleRatio: Fraction) {
        self.alpha = alpha
        self.window = window
        self.sampleRatio = sampleRatio
    }

    /// The paper's settings (α 0.95, r_w 8 %, r_row 5 %) with window-aware column scoring.
    public static let standard = SampleAttentionParameters(
        alpha: try! Fraction(0.95), window: .ratio(try! Fraction(0.08)), sampleRatio: try! Fraction(0.05))

    /// The paper's settings and its column scoring.
    public static let paper: SampleAttentionParameters = {
        var parameters = standard
        parameters.columnScoring = .allMass
        return parameters
    }()

    /// Full attention.
    public static let dense: SampleAttentionParameters = {
        var parameters = standard
        parameters.pattern = .dense
        return parameters
    }()
}

extension SampleAttentionParameters: Codable {
    private enum CodingKeys: String, CodingKey {
        case pattern, alpha, windowRatio, windowTokens, sampleRatio, sinks, denseLastRows, columnScoring
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func count(_ key: CodingKeys, atLeast minimum: Int) throws -> Int {
            let value = try container.decode(Int.self, forKey: key)
            guard (minimum...1 << 40).contains(value) else {
                let field = (container.codingPath + [key]).fieldName
                throw InputError(.usage, field: field, value: "\(value)", rule: "must be from \(minimum) to \(1 << 40)")
            }
            return value
        }
        let window: Window =
            if let ratio = try container.decodeIfPresent(Fraction.self, forKey: .windowRatio) {
                .ratio(ratio)
            } else {
                .tokens(try count(.windowTokens, atLeast: 1))
            }
        self.init(
            alpha: try container.decode(Fraction.self, forKey: .alpha), window: window,
            sampleRatio: try container.decode(Fraction.self, forKey: .sampleRatio))
        pattern = try container.decode(Pattern.self, forKey: .pattern)
        sinks = try count(.sinks, atLeast: 0)
        denseLastRows = try count(.denseLastRows, atLeast: 0)
        columnScoring = try container.decode(ColumnScoring.self, forKey: .columnScoring)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(pattern, forKey: .pattern)
        try container.encode(alpha, forKey: .alpha)
        switch window {
        case .ratio(let ratio): try container.encode(ratio, forKey: .windowRatio)
        case .tokens(let count): try container.encode(count, forKey: .windowTokens)
        }
        try container.encode(sampleRatio, forKey: .sampleRatio)
        try container.encode(sinks, forKey: .sinks)
        try container.encode(denseLastRows, forKey: .denseLastRows)
        try container.encode(columnScoring, forKey: .columnScoring)
    }
}
