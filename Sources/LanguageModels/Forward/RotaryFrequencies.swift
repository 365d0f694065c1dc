import Foundation

/// The angles by which a rotary embedding turns each pair of elements from one position to the next, and what its cosines and sines are
/// multiplied by.
package struct RotaryFrequencies: Hashable, Sendable {
    /// One a pair. Units: radians a position.
    package let values: [Float]
    package let magnitude: Double

    /// - Parameter length: of the whole sequence, which some scalings depend on. Units: tokens.
    package init(_ rotary: RotaryDescription, length: Int) {
        let m = rotary.dimensions
        func plain(_ i: Int, _ base: Double) -> Double { pow(base, -Double(2 * i) / Double(m)) }
        func frequencies(_ value: (_ i: Int, _ plain: Double) -> Double) -> [Float] {
            (0..<m / 2).map { Float(value($0, plain($0, rotary.base))) }
        }
        switch rotary.scaling {
        case .none:
            values = frequencies { $1 }
            magnitude = 1
        case .linear(let factor):
            values = frequencies { $1 / factor }
            magnitude = 1
        case .dynamic(let factor, let original):
            let base = Self.dynamicBase(rotary, factor: factor, original: original, length: length)
            values = (0..<m / 2).map { Float(plain($0, base)) }
            magnitude = 1
        case .llama3(let scaling):
            values = frequencies { Self.stretched($1, scaling) }
            magnitude = 1
        case .yarn(let scaling):
            values = Self.yarn(rotary, scaling)
            magnitude = scaling.magnitude
        case .longrope(let scaling):
            let factors = length > scaling.originalMaximumPositions ? scaling.longFactors : scaling.shortFactors
            values = frequencies { $1 / factors[$0] }
            magnitude = scaling.magnitude
        }
    }

    private static func dynamicBase(_ rotary: RotaryDescription, factor: Double, original: Int, length: Int) -> Double {
        guard length > original, rotary.dimensions > 2 else { return rotary.base }
        let m = Double(rotary.dimensions)
        return rotary.base * pow(factor * Double(length) / Double(original) - (factor - 1), m / (m - 2))
    }

    /// Long wavelengths are stretched by `factor`, short ones kept, and those between blended.
    private static func stretched(_ frequency: Double, _ scaling: Llama3RotaryScaling) -> Double {
        let turns = Double(scaling.originalMaximumPositions) * frequency / (2 * .pi)
        if turns < scaling.lowFrequencyFactor { return frequency / scaling.factor }
        if turns > scaling.highFrequencyFactor { return frequency }
        let blend = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
        return (1 - blend) * frequency / scaling.factor + blend * frequency
    }

    /// arXiv 2309.00071, equations 17 and 18 with the ramp over a frequency's index, as the reference implementations have it.
    private static func yarn(_ rotary: RotaryDescription, _ scaling: YarnRotaryScaling) -> [Float] {
        let m = Double(rotary.dimensions)
        /// The index of the frequency that turns so often in the original length.
        func index(turns: Double) -> Double {
            m * log(Double(scaling.originalMaximumPositions) / (turns * 2 * .pi)) / (2 * log(rotary.base))
        }
        var (low, high) = (index(turns: scaling.fastTurns), index(turns: scaling.slowTurns))
        if scaling.roundsRamp { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, m - 1))
        let width = high == low ? 0.001 : high - low
        return (0..<rotary.dimensions / 2).map { i in
            let plain = pow(rotary.base, -Double(2 * i) / m)
            let share = min(max((Double(i) - low) / width, 0), 1)
            return Float(plain / scaling.factor * share + plain * (1 - share))
        }
    }
}
