import AttentionCore
import QuasiRandom
import SampleAttention

/// One layer to be timed: all heads with the same parameters.
package struct CalibrationSetting: Hashable, Sendable {
    /// What is special about it.
    package enum Kind: String, CaseIterable, Codable, Sendable {
        /// Everything.
        case dense
        /// A window and four sinks, for which nothing is sampled.
        case window
        /// A window and the columns that stages 1 and 2 find.
        case stripes
        /// The columns and slashes of blocks that they find.
        case lines
        /// A window and key blocks.
        case keyBlocks
        /// Stripes with a certificate.
        case certified
    }

    /// What is special about it.
    package let kind: Kind
    /// Tokens.
    package let length: Int
    /// Query heads; half as many key-value heads.
    package let heads: Int
    /// Of `window` only the window, sinks and dense rows are read.
    package let parameters: SampleAttentionParameters

    /// Half of the query heads, at least one.
    var keyValueHeads: Int { max(1, heads / 2) }

    /// It is timed in every so many passes: short layers are quick, and noisy.
    var passStride: Int { length > 8192 ? 4 : length > 2048 ? 2 : 1 }

    /// How often it is timed.
    var rounds: Int { (Calibration.passes + passStride - 1) / passStride }

    /// Roughly how long it takes, in units of no meaning: sparse layers have about a fifth of the pairs.
    var effort: Int { heads * (length / 32) * (length / 32) * (kind == .dense ? 5 : 1) + 16 * heads }

    /// What a residual table calls it.
    var description: String {
        let window = parameters.window.positions(promptLength: length)
        let sampled = "α \(parameters.alpha), sampled \(parameters.sampleRatio)"
        switch kind {
        case .dense: return "dense"
        case .window: return "window \(window)"
        case .stripes: return "window \(window), \(sampled)\(parameters.columnScoring == .allMass ? ", all mass" : "")"
        case .lines: return "column-slash \(sampled), slashes \(parameters.alphaSlashes ?? parameters.alpha)"
        case .keyBlocks:
            let scored = parameters.scoredDimensions == .one ? "" : ", scored in \(parameters.scoredDimensions) of the coordinates"
            return "window \(window), \(parameters.keyBlockCount) key blocks of \(parameters.keyBlockTokens)\(scored)"
        case .certified: return "window \(window), \(sampled), certified"
        }
    }
}

extension CalibrationSetting {
    /// The settings of one length: dense, bare windows, and points spread evenly over what a tuner may try.
    package static func design(length: Int, heads: Int, seed: UInt64) -> [CalibrationSetting] {
        var generator = SeededGenerator.derived(seed: seed, length)
        let points = QuasiRandomSequence(dimensions: 3, seed: generator.next())
        func setting(_ kind: Kind, _ parameters: SampleAttentionParameters) -> CalibrationSetting {
            CalibrationSetting(kind: kind, length: length, heads: heads, parameters: parameters)
        }
        let windows = [64, 256, 1024].filter { 2 * $0 <= length }.map { setting(.window, .bareWindow($0, denseLastRows: 0)) }
        let stripes = (0..<5).map { setting(.stripes, .stripes(at: points.next(), length: length, isPaper: $0 == 4)) }
        let lines = (0..<3).map { _ in setting(.lines, .lines(at: points.next())) }
        let certified = setting(.certified, .stripes(at: points.next(), length: length, isPaper: false))
        let keyBlocks = (0..<3).map { setting(.keyBlocks, .keyBlocks(at: points.next(), length: length, isHalf: $0 == 1)) }
        return [setting(.dense, .dense)] + windows + stripes + lines + [certified] + keyBlocks
    }
}

extension SampleAttentionParameters {
    /// A window and four sinks.
    static func bareWindow(_ window: Int, denseLastRows: Int) -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.standard
        parameters.window = .tokens(window)
        parameters.sinks = 4
        parameters.denseLastRows = denseLastRows
        return parameters
    }

    /// The stripe-window parameters at a point of the unit cube: the window, 1 − α and the sampling ratio even in their logarithms.
    ///
    /// - Parameter isPaper: columns are scored by all their mass.
    fileprivate static func stripes(at point: [Double], length: Int, isPaper: Bool) -> SampleAttentionParameters {
        let window = geometric(32, Double(max(64, min(4096, length / 2))), point[0])
        var parameters = SampleAttentionParameters(
            alpha: thousandths(1000 - geometric(30, 800, point[1])), window: .tokens(Int(window)),
            sampleRatio: thousandths(geometric(5, 100, point[2])))
        parameters.sinks = 4
        parameters.columnScoring = isPaper ? .allMass : .windowAware
        return parameters
    }

    /// Column-slash parameters at a point of the unit cube. Blocks of made-up keys weigh much the same, so a share of the mass is
    /// about that share of the blocks.
    fileprivate static func lines(at point: [Double]) -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters(
            alpha: thousandths(geometric(20, 500, point[0])), window: .tokens(1), sampleRatio: thousandths(geometric(5, 100, point[2])))
        parameters.pattern = .columnSlash
        parameters.alphaSlashes = thousandths(geometric(20, 500, point[1]))
        return parameters
    }

    /// The key-blocks parameters at a point of the unit cube: window and count even in their logarithms.
    ///
    /// - Parameter isHalf: half of the coordinates are scored, so that what a pair costs is told from what its products do.
    fileprivate static func keyBlocks(at point: [Double], length: Int, isHalf: Bool) -> SampleAttentionParameters {
        let window = geometric(32, Double(max(64, min(2048, length / 2))), point[0])
        var parameters = SampleAttentionParameters.keyBlocks(count: Int(geometric(2, 64, point[1])), window: Int(window), sinks: 4)
        if isHalf { parameters.scoredDimensions = thousandths(500) }
        parameters.keyBlockTokens = keyBlockLengths[min(keyBlockLengths.count - 1, Int(point[2] * Double(keyBlockLengths.count)))]
        return parameters
    }

    private static func geometric(_ low: Double, _ high: Double, _ position: Double) -> Double { low * power(high / low, position) }

    /// Rounded, so that tables are readable. In (0, 1] by the ranges above.
    private static func thousandths(_ value: Double) -> Fraction { try! Fraction(value.rounded() / 1000) }
}
