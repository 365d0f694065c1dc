import AttentionCore

/// How one head of one layer attends during prefill.
///
/// Source: SampleAttention (arXiv 2406.15486): α, the window ratio r_w and the sampling ratio r_row are the paper's
/// hyperparameters; α_c, α_s and tail blocks are those of its third version (MLSys 2025; arXiv 2406.15486v3). Sinks,
/// token-count windows, window-aware scoring and key-blocks are this project's; a fixed count of columns is what MInference and vLLM
/// keep.
public struct SampleAttentionParameters: Hashable, Sendable {
    /// The family of patterns the head may use.
    public enum Pattern: String, Sendable, NamedCase {
        /// Every causal key.
        case dense
        /// A sliding window and the sinks. Nothing is sampled, so there is no stage 1.
        case window
        /// A sliding window and the key columns that selection finds.
        case stripeWindow = "stripe-window"
        /// Blocks of key columns and diagonals of blocks; see `ColumnSlashSelection`. The window plays no part.
        case columnSlash = "column-slash"
        /// A sliding window, the sinks, and for each 64 query rows the blocks of keys with the largest scores; see `KeyBlockSelection`.
        case keyBlocks = "key-blocks"

        /// True where stage 1 scores some of the rows and stage 2 asks what share of their mass is kept: `alpha`, `sampleRatio` and
        /// `sampling` are read by these patterns only.
        public var samplesRows: Bool {
            switch self {
            case .stripeWindow, .columnSlash: true
            case .dense, .window, .keyBlocks: false
            }
        }

        /// True where `window` is read.
        public var hasWindow: Bool {
            switch self {
            case .window, .stripeWindow, .keyBlocks: true
            case .dense, .columnSlash: false
            }
        }
    }

    /// Which query rows stage 1 scores; see `SamplingPlan`.
    public enum Sampling: String, Sendable, NamedCase {
        /// Single rows at equal strides.
        case stride
        /// Blocks of rows at the ends of equal segments.
        case tailBlocks = "tail-blocks"
        /// The rows at the end, as relatives that look at the last queries only do.
        case lastRows = "last-rows"
        /// Rows drawn at random with `samplingSeed`.
        case random
    }

    /// Which mass of a column counts when columns are chosen.
    public enum ColumnScoring: String, Sendable, NamedCase {
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
    /// The share of the sampled rows' mass that window and columns must hold; in column-slash, the columns alone (α_c).
    public var alpha: Fraction
    /// The share that the slashes of column-slash must hold (α_s); `alpha` when nil.
    public var alphaSlashes: Fraction?
    /// For stripe-window: keeps this many columns, sinks among them, instead of the fewest that reach α; α when nil. The heaviest
    /// are kept, and fewer where fewer have any mass. Not below `sinks`; equal to it, the head keeps its sinks and window only.
    public var columnCount: Int?
    public var window: Window
    /// The share of query rows scored in stage 1 (r_row).
    public var sampleRatio: Fraction
    /// Which rows those are.
    public var sampling: Sampling = .stride
    /// For random sampling only: the same seed draws the same rows.
    public var samplingSeed: UInt64 = Self.standardSamplingSeed
    /// Keys at the start that are always kept; not negative.
    public var sinks = 0
    /// Rows at the prompt's end that see everything.
    public var denseLastRows = 64
    public var columnScoring: ColumnScoring = .windowAware
    /// For key-blocks: blocks of keys that each query block keeps beside sinks and window, or all that there are; at least 1.
    public var keyBlockCount = Self.standardKeyBlockCount
    /// For key-blocks: keys of such a block, one of `keyBlockLengths`.
    public var keyBlockTokens = Self.standardKeyBlockTokens
    /// For key-blocks: the share of a head's coordinates that scores are made of, those that weigh most in its queries and keys.
    public var scoredDimensions = Fraction.one

    public init(alpha: Fraction, window: Window, sampleRatio: Fraction) {
        self.alpha = alpha
        self.window = window
        self.sampleRatio = sampleRatio
    }

    /// Used where no seed is given.
    static let standardSamplingSeed: UInt64 = 1

    /// Used where none is given: eight blocks of 32 keys kept every answer of a small model at 16,384 tokens.
    static let standardKeyBlockCount = 8
    static let standardKeyBlockTokens = 32
    /// Lengths that blocks of keys may have: multiples of the 16 keys over which the largest scores are taken.
    public static let keyBlockLengths = [16, 32, 64]

    /// Coordinates of `dimension` that scores of key blocks are made of: their share, rounded up to a multiple of 4.
    package func scoredCoordinates(of dimension: Int) -> Int {
        min(dimension, (scoredDimensions.ceiling(of: dimension) + 3) / 4 * 4)
    }

    /// The rows of `queryCount` whose mass stage 1 measures: those of `samplingPlan`, or none where the pattern samples none.
    package func sampledRows(queryCount: Int) -> [Int] {
        pattern.samplesRows ? samplingPlan(queryCount: queryCount).rows : []
    }

    /// The rows of `queryCount` that stage 1 scores: ⌈sampleRatio · queryCount⌉ of them.
    ///
    /// Complexity: O(rows); O(queryCount) for random sampling.
    public func samplingPlan(queryCount: Int) -> SamplingPlan {
        switch sampling {
        case .stride: .strided(queryCount: queryCount, ratio: sampleRatio)
        case .tailBlocks: .tailBlocks(queryCount: queryCount, ratio: sampleRatio)
        case .lastRows: .lastRows(queryCount: queryCount, ratio: sampleRatio)
        case .random: .random(queryCount: queryCount, ratio: sampleRatio, seed: samplingSeed)
        }
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

    /// The third version's settings: columns and slashes, rows sampled in blocks at the tails of segments; α_c and α_s 0.95, r_row 5 %.
    ///
    /// Source: SampleAttention v3 (MLSys 2025; arXiv 2406.15486v3).
    public static let paperV3: SampleAttentionParameters = {
        var parameters = standard
        parameters.pattern = .columnSlash
        parameters.sampling = .tailBlocks
        return parameters
    }()

    /// A window of `tokens` positions and the first `sinks` keys, with nothing sampled.
    public static func window(tokens: Int, sinks: Int) -> SampleAttentionParameters {
        var parameters = standard
        parameters.pattern = .window
        parameters.window = .tokens(tokens)
        parameters.sinks = sinks
        return parameters
    }

    /// Blocks of 32 keys beside a window of `window` positions and the first `sinks` keys, `count` of them for each query block.
    public static func keyBlocks(count: Int = 8, window: Int = 256, sinks: Int = 16) -> SampleAttentionParameters {
        var parameters = standard
        parameters.pattern = .keyBlocks
        parameters.keyBlockCount = count
        parameters.window = .tokens(window)
        parameters.sinks = sinks
        return parameters
    }

    /// Full attention.
    public static let dense: SampleAttentionParameters = {
        var parameters = standard
        parameters.pattern = .dense
        return parameters
    }()
}
