/// A small seeded generator (SplitMix64; Steele, Lea and Flood, OOPSLA 2014): the same seed gives the same numbers on
/// every machine. Not for cryptography.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A uniform number in [0, 1) with 53 random bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A roughly normal number (sum of twelve uniforms): mean 0, variance 1, support (−6, 6).
    public mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += uniform() }
        return sum
    }

    /// A generator of its own for one (layer, head, …) so that results do not depend on the order of work.
    public static func derived(seed: UInt64, _ parts: Int...) -> SeededGenerator {
        var generator = SeededGenerator(seed: seed)
        for part in parts {
            generator = SeededGenerator(seed: generator.next() ^ UInt64(bitPattern: Int64(part)))
        }
        return generator
    }
}
