import AttentionCore
import SampleAttention

/// The parameters a head may get, as a box whose points samplers propose.
///
/// Windows and sampling ratios take few values, so that candidates share stage 1; windows are counts of tokens, because what a head
/// looks back over does not grow with the prompt.
public struct SearchSpace: Hashable, Sendable, Codable {
    /// Pattern; window; α, or the count of key blocks; sampling ratio, or the length of key blocks; sinks; α of slashes, or the share
    /// of coordinates that key blocks are scored in.
    public static let dimensions = 6

    /// What a head may be beside dense, in equal shares of the first coordinate.
    public var patterns: [SampleAttentionParameters.Pattern] = [.window, .stripeWindow, .columnSlash, .keyBlocks]
    /// Tokens, two to an octave.
    public var windows = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192]
    public var alpha = 0.5...0.99
    public var sampleRatios = [0.005, 0.01, 0.02, 0.05]
    public var sinks = [0, 4, 16, 64]
    /// Key blocks of a query block.
    public var keyBlockCounts = [2, 4, 8, 16, 32, 64]
    /// Keys of a key block.
    public var keyBlockTokens = [16, 32, 64]
    public var denseLastRows = 64

    public init() {}

    /// The parameters at a point of the unit cube, for prompts of `length` tokens and heads of `headDimension` coordinates.
    ///
    /// 1 − α is spread evenly in its logarithm: halving it matters alike everywhere.
    public func parameters(at point: [Double], length: Int, headDimension: Int) -> SampleAttentionParameters {
        let pattern = Self.choice(patterns, point[0])
        var parameters = SampleAttentionParameters(
            alpha: share(point[2]), window: .tokens(Self.choice(ladder(length: length), point[1])),
            sampleRatio: Self.fraction(Self.choice(sampleRatios, point[3])))
        parameters.pattern = pattern
        parameters.sinks = Self.choice(sinks, point[4])
        parameters.denseLastRows = denseLastRows
        if pattern == .columnSlash {
            parameters.sampling = .tailBlocks
            parameters.alphaSlashes = share(point[5])
        }
        parameters.keyBlockCount = Self.choice(keyBlockCounts, point[2])
        parameters.keyBlockTokens = Self.choice(keyBlockTokens, point[3])
        parameters.scoredDimensions = Self.choice(scoredDimensions(headDimension: headDimension), point[5])
        return parameters.normalized
    }

    /// Shares of a head's coordinates that key blocks are scored in; the ladder's comes first.
    ///
    /// Of 64 and 128 coordinates half choose about as well as all, of 256 a quarter do: 64, in which heads of any width say the same, and
    /// which fill a tile of matrix products (experiments/key-block-choice).
    public func scoredDimensions(headDimension: Int) -> [Fraction] {
        [try! Fraction(min(0.5, max(0.25, 64 / Double(headDimension)))), .one]
    }

    /// Bare windows from the narrowest to half the prompt, which every head tries.
    public func ladder(length: Int) -> [Int] {
        let fitting = windows.filter { $0 <= length / 2 }
        return fitting.isEmpty ? [max(1, length / 2)] : fitting
    }

    /// A bare window with the space's sinks and dense rows.
    public func window(_ tokens: Int) -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.window(tokens: tokens, sinks: sinks.contains(16) ? 16 : sinks.max() ?? 0)
        parameters.denseLastRows = denseLastRows
        return parameters
    }

    /// Key blocks that every head tries, few to many behind one window, so that their scores are made once: which heads look something up
    /// shows in what answers lose, long before it shows in an output's error, by which candidates are proposed.
    ///
    /// Counts double from 4 on, while that many blocks hold at most a quarter of the prompt.
    public func keyBlockLadder(length: Int, headDimension: Int) -> [SampleAttentionParameters] {
        guard patterns.contains(.keyBlocks) else { return [] }
        var counts = [4]
        while 2 * counts.last! * SampleAttentionParameters.standard.keyBlockTokens <= length / 4 { counts.append(2 * counts.last!) }
        return counts.map { count in
            var parameters = SampleAttentionParameters.keyBlocks(count: count, window: 128, sinks: window(128).sinks)
            parameters.scoredDimensions = scoredDimensions(headDimension: headDimension)[0]
            parameters.denseLastRows = denseLastRows
            return parameters
        }
    }

    private func share(_ position: Double) -> Fraction {
        let misses = (1 - alpha.upperBound)...(1 - alpha.lowerBound)
        return Self.fraction(1 - misses.lowerBound * power(misses.upperBound / misses.lowerBound, position))
    }

    private static func choice<Value>(_ values: [Value], _ position: Double) -> Value {
        values[min(values.count - 1, Int(position * Double(values.count)))]
    }

    /// Rounded to three digits after the point, so that config files stay readable; at least 0.001.
    private static func fraction(_ value: Double) -> Fraction {
        // In (0, 1] by the ranges above.
        try! Fraction(min(1, max(1, (value * 1000).rounded()) / 1000))
    }
}

extension SampleAttentionParameters {
    /// The same behaviour with everything that the pattern does not read at its standard value, so that equal candidates are equal.
    var normalized: SampleAttentionParameters {
        switch pattern {
        case .dense: return .dense
        case .stripeWindow: return withoutKeyBlocks
        case .window:
            var plain = SampleAttentionParameters.window(tokens: 1, sinks: sinks)
            plain.window = window
            plain.denseLastRows = denseLastRows
            return plain
        case .columnSlash:
            var plain = withoutKeyBlocks
            plain.window = Self.standard.window
            plain.columnScoring = Self.standard.columnScoring
            return plain
        case .keyBlocks:
            var plain = SampleAttentionParameters.keyBlocks(count: keyBlockCount, window: 1, sinks: sinks)
            plain.keyBlockTokens = keyBlockTokens
            plain.scoredDimensions = scoredDimensions
            plain.window = window
            plain.denseLastRows = denseLastRows
            return plain
        }
    }

    private var withoutKeyBlocks: SampleAttentionParameters {
        var plain = self
        plain.keyBlockCount = Self.standard.keyBlockCount
        plain.keyBlockTokens = Self.standard.keyBlockTokens
        plain.scoredDimensions = Self.standard.scoredDimensions
        return plain
    }
}
