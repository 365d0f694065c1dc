import AttentionCore
import CGSL

/// A quasi-random sequence in the unit cube, shifted by a seeded random vector modulo 1 (Cranley–Patterson rotation), so that
/// different seeds give different, equally well spread points.
public struct QuasiRandomSequence: ~Copyable {
    /// The sequences that GSL has.
    public enum Family: String, Sendable, Hashable, CaseIterable, Codable {
        /// Sobol (1967), `gsl_qrng_sobol`: the most even in few dimensions.
        case sobol
        /// Niederreiter (1988) in base 2, `gsl_qrng_niederreiter_2`.
        case niederreiter
        /// Halton with digits reversed (Vandewoestyne and Cools, 2006), `gsl_qrng_reversehalton`: for many dimensions.
        case reverseHalton = "reverse-halton"

        /// The most dimensions for which GSL has numbers.
        public var mostDimensions: Int {
            switch self {
            case .sobol: 40
            case .niederreiter: 12
            case .reverseHalton: 1229
            }
        }
    }

    public let dimensions: Int
    private let generator: UnsafeMutablePointer<gsl_qrng>
    private let shift: [Double]

    /// GSL's default error handler aborts the process; reading this switches it off, once.
    private static let errorsAreReturned: Void = { gsl_set_error_handler_off() }()

    /// - Parameter dimensions: from 1 to the family's most.
    public init(_ family: Family = .sobol, dimensions: Int, seed: UInt64) {
        precondition((1...family.mostDimensions).contains(dimensions), "GSL's \(family) has 1 to \(family.mostDimensions) dimensions")
        _ = Self.errorsAreReturned
        self.dimensions = dimensions
        generator = family.allocate(UInt32(dimensions))!
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

extension QuasiRandomSequence.Family {
    fileprivate func allocate(_ dimensions: UInt32) -> UnsafeMutablePointer<gsl_qrng>? {
        switch self {
        case .sobol: cgsl_sobol_alloc(dimensions)
        case .niederreiter: cgsl_niederreiter_alloc(dimensions)
        case .reverseHalton: cgsl_reverse_halton_alloc(dimensions)
        }
    }
}
