/// How rotary position embedding turns the queries and keys of a layer.
/// Source: RoFormer (arXiv 2104.09864).
public struct RotaryDescription: Hashable, Sendable {
    /// Which elements of the rotated ones are turned together.
    public enum Pairs: Hashable, Sendable {
        /// (i, i + m/2), m being the rotated dimensions.
        case halves
        /// (2i, 2i + 1).
        case neighbours
    }

    /// Elements of each head that are turned, its first ones; even.
    public var dimensions: Int
    public var pairs = Pairs.halves
    /// θ in the frequencies θ^(−2i/m).
    public var base: Double
    public var scaling = RotaryScaling.none
}

/// How rotary position embeddings are stretched beyond the length a model was first trained at.
public enum RotaryScaling: Hashable, Sendable {
    /// Not at all.
    case none
    /// Every position divided by `factor`. Source: Chen et al., "Position Interpolation" (arXiv 2306.15595).
    case linear(factor: Double)
    /// The base grows with the length n once that exceeds `length`: θ · (factor · n / length − (factor − 1))^(m/(m − 2)).
    /// Source: the "dynamic NTK" scaling of the reference implementations.
    case dynamic(factor: Double, length: Int)
    /// Low frequencies divided by a factor, high ones kept, those between blended.
    case llama3(Llama3RotaryScaling)
    /// Interpolates the frequencies that turn too slowly to be known from training. Source: YaRN (arXiv 2309.00071).
    case yarn(YarnRotaryScaling)
    /// A divisor of each frequency, for short and for long sequences. Source: LongRoPE (arXiv 2402.13753).
    case longrope(LongRotaryScaling)
}

/// The frequency-dependent scaling of Llama 3.1.
///
/// With a frequency's wavelength λ in tokens: λ < original / highFrequencyFactor keeps the frequency;
/// λ > original / lowFrequencyFactor divides it by `factor`; in between the two are blended linearly in original / λ.
/// Source: "The Llama 3 Herd of Models" (arXiv 2407.21783) and the reference implementation's `rope_type` "llama3".
public struct Llama3RotaryScaling: Hashable, Sendable {
    public let factor: Double
    public let lowFrequencyFactor: Double
    /// Above `lowFrequencyFactor`.
    public let highFrequencyFactor: Double
    /// Units: tokens.
    public let originalMaximumPositions: Int
}

/// YaRN: frequencies that turn more than `fastTurns` times within the original length are kept, those that turn less than `slowTurns`
/// times are divided by `factor`, and those between are blended by a ramp over their index. Cosines and sines are multiplied by
/// `magnitude`.
public struct YarnRotaryScaling: Hashable, Sendable {
    public let factor: Double
    /// Units: tokens.
    public let originalMaximumPositions: Int
    public let fastTurns: Double
    public let slowTurns: Double
    /// The ramp begins and ends at whole indices.
    public let roundsRamp: Bool
    public let magnitude: Double
}

/// LongRoPE: frequency i is divided by `shortFactors[i]` in sequences of up to `originalMaximumPositions`, else by `longFactors[i]`.
/// Cosines and sines are multiplied by `magnitude`.
public struct LongRotaryScaling: Hashable, Sendable {
    /// One a frequency.
    public let shortFactors, longFactors: [Double]
    /// Units: tokens.
    public let originalMaximumPositions: Int
    public let magnitude: Double
}
