import AttentionCore
import CGSL

/// A Sobol sequence in the unit cube, shifted by a seeded random vector modulo 1 (Cranley–Patterson rotation), so that
/// different seeds give different, equally well spread points.
///
/// Source: Sobol (1967), through GSL's `gsl_qrng_sobol` (at most 40 dimensions).
public struct QuasiRandomSequence: ~Copyable {
    public let dimensions: Int
    private let generator: UnsafeMutablePointer<gsl_qrng>
    private let shift: [Double]

    public init(dimensions: Int, seed: UInt64) {
        precondition((1...40).contains(dimensions), "GSL's Sobol sequence has 1 to 40 dimensions")
        _ = GSLErrors.areReturned
        self.dimensions = dimensions
        generator = cgsl_sobol_alloc(UInt32(dimensions))!
        var random = SeededGenerator(seed: seed)
        shift = (0..<dimensions).map { _ in random.uniform() }
    }

    deinit { gsl_qrng_free(generator) }

    /// The next point; each coordinate in [0, 1).
    public func next() -> [Double] {
        var point = [Double](repeating: 0, count: dimensions)
        gsl_qrng_get(generator, &point)
        return zip(point, shift).map { ($0 + $1).truncatingRemainder(dividingBy: 1) }
    }
}
