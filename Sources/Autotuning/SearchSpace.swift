import AttentionCore
import SampleAttention

/// The parameters a head may get, as a box that quasi-random points fill evenly.
public struct SearchSpace: Hashable, Sendable, Codable {
    public static let dimensions = 3

    /// Smallest and largest window in positions; the largest is also limited to half the prompt.
    public var windowTokens = 64.0...8192.0
    public var alpha = 0.5...0.995
    public var sampleRatio = 0.005...0.05
    public var sinks = 4
    public var denseLastRows = 64

    public init() {}

    /// The parameters at a point of the unit cube, for prompts of `length` tokens.
    ///
    /// 1 − α, the window ratio and the sampling ratio are spread evenly in their logarithm: halving each matters alike.
    public func parameters(at point: [Double], length: Int) -> SampleAttentionParameters {
        let misses = (1 - alpha.upperBound)...(1 - alpha.lowerBound)
        let ratios = min(0.5, windowTokens.lowerBound / Double(length))...min(0.5, windowTokens.upperBound / Double(length))
        var parameters = SampleAttentionParameters(
            alpha: Self.fraction(1 - Self.geometric(misses, point[0])), window: .ratio(Self.fraction(Self.geometric(ratios, point[1]))),
            sampleRatio: Self.fraction(Self.geometric(sampleRatio, point[2])))
        parameters.sinks = sinks
        parameters.denseLastRows = denseLastRows
        return parameters
    }

    private static func geometric(_ range: ClosedRange<Double>, _ position: Double) -> Double {
        range.lowerBound * power(range.upperBound / range.lowerBound, position)
    }

    /// Rounded to four digits after the point, so that config files stay readable; at least 0.0001.
    private static func fraction(_ value: Double) -> Fraction {
        // In (0, 1] by the ranges above.
        try! Fraction(max(1, (value * 10_000).rounded()) / 10_000)
    }
}
