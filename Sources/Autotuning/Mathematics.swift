import Foundation

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

@inline(__always) package func exponential(_ x: Double) -> Double { exp(x) }

package func logarithm(_ x: Double) -> Double { log(x) }

/// The standard normal distribution.
enum StandardNormal {
    /// φ(z) = e^(−z²/2) / √(2π).
    static func density(_ z: Double) -> Double { exp(-z * z / 2) * 0.3989422804014327 }

    /// Φ(z), to the last digits in the lower tail too.
    static func cumulative(_ z: Double) -> Double { erfc(-z * 0.7071067811865476) / 2 }
}
