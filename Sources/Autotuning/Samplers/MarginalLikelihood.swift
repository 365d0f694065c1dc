import LinearAlgebra

/// Finds the length scales and the noise under which the values seen are the most likely.
///
/// With the scale s² at its best, up to a constant, for each function with values y at n points:
///
///     −n/2 ln s² − ½ ln |K|,   s² = yᵀ K⁻¹ y / n
///
/// and priors that matter while trials are few: ln ℓ_d is normal around ln ½ with deviation 1, ln η around ln 10⁻⁴ with
/// deviation 3. Compass search over the logarithms: steps in each coordinate, halved when none helps.
///
/// Source: Rasmussen and Williams (2006), 5.4.1; Kolda, Lewis and Torczon (SIAM Review 45, 2003) for the search.
package struct MarginalLikelihood {
    package typealias Hyperparameters = GaussianProcess.Hyperparameters

    /// Logarithms of the smallest and largest length scale, and of the least and most noise.
    private static let lengthScaleLimits = logarithm(0.02)...logarithm(20)
    private static let noiseLimits = logarithm(1e-6)...logarithm(0.3)

    /// At which the functions were seen.
    package let points: [[Double]]
    /// Of each function at all points; all functions share the hyperparameters.
    package let functions: [[Double]]

    /// - Parameter functions: values at all points, of each function.
    package init(points: [[Double]], functions: [[Double]]) {
        self.points = points
        self.functions = functions
    }

    /// Where a search starts that knows nothing.
    package static func start(dimensions: Int) -> Hyperparameters {
        Hyperparameters(lengthScales: Array(repeating: 0.5, count: dimensions), noise: 1e-4)
    }

    /// The place where the search ends. Complexity: O(points³ + d · points²) a try, some 20 (d + 1) tries.
    package func best(from start: Hyperparameters) -> Hyperparameters {
        var place = start.lengthScales.map(logarithm) + [logarithm(start.noise)]
        var value = logPosterior(at: place)
        var step = 1.0
        while step > 0.1 {
            var improved = false
            for index in place.indices {
                for direction in [step, -step] {
                    var other = place
                    let limits = index < place.count - 1 ? Self.lengthScaleLimits : Self.noiseLimits
                    other[index] = min(limits.upperBound, max(limits.lowerBound, other[index] + direction))
                    let otherValue = logPosterior(at: other)
                    if otherValue > value + 1e-6 {
                        (place, value, improved) = (other, otherValue, true)
                        break
                    }
                }
            }
            if !improved { step /= 2 }
        }
        return Self.hyperparameters(at: place)
    }

    private static func hyperparameters(at place: [Double]) -> Hyperparameters {
        Hyperparameters(lengthScales: place.dropLast().map(exponential), noise: exponential(place[place.count - 1]))
    }

    private func logPosterior(at place: [Double]) -> Double {
        let process = GaussianProcess(Self.hyperparameters(at: place), points: points)
        let determinant = process.factor.logDeterminant
        let likelihood = functions.reduce(0.0) { sum, values in
            sum - Double(points.count) / 2 * logarithm(process.posterior(of: values).scale) - determinant / 2
        }
        let lengthScaleSquares = place.dropLast().reduce(0.0) { $0 + square($1 - logarithm(0.5)) }
        let noiseSquare = square((place[place.count - 1] - logarithm(1e-4)) / 3)
        return likelihood - (lengthScaleSquares + noiseSquare) / 2
    }

    private func square(_ x: Double) -> Double { x * x }
}
