import AttentionCore

/// A density over the unit cube from points in it: a mixture of one kernel a point and the uniform density, all of one weight.
///
///     p(x) = (1 + Σ_i Π_d N(x_d; μ_id, σ_d) / M_id) / (kernels + 1)
///
/// with M_id the share of kernel i's normal density in coordinate d that lies in [0, 1]: kernels are truncated, so the density
/// sums to one and has no bias away from the borders. The uniform part keeps every ratio of two such densities finite.
///
/// Source: Bergstra et al. (NIPS 2011), 4; Falkner, Klein and Hutter (ICML 2018) for kernels over all coordinates at once, which
/// keep what good points have in common, where a mixture for each coordinate alone forgets it.
package struct ParzenEstimator: Sendable {
    /// σ, by coordinate.
    package private(set) var bandwidths: [Double]
    /// [dimension][kernel]: the loops run over kernels.
    private var centres: [[Double]]
    /// Π_d 1 / (√(2π) σ_d M_id), or 0 for a silenced kernel.
    private var heights: [Double] = []
    private var silenced = 0

    /// No kernels: the uniform density.
    package init(bandwidths: [Double]) {
        self.bandwidths = bandwidths
        centres = Array(repeating: [], count: bandwidths.count)
    }

    private var kernels: Int { heights.count - silenced }

    /// Adds a kernel. Complexity: O(d).
    package mutating func append(_ point: [Double]) {
        for (dimension, coordinate) in point.enumerated() { centres[dimension].append(coordinate) }
        heights.append(height(of: heights.count))
    }

    /// Gives all kernels another width. Complexity: O(kernels · d) error functions: worth doing seldom.
    package mutating func setBandwidths(_ bandwidths: [Double]) {
        precondition(silenced == 0, "a silenced kernel would come back")
        self.bandwidths = bandwidths
        for kernel in heights.indices { heights[kernel] = height(of: kernel) }
    }

    /// Takes a kernel out of the mixture.
    package mutating func silence(_ kernel: Int) {
        precondition(heights[kernel] > 0, "a kernel is silenced once")
        heights[kernel] = 0
        silenced += 1
    }

    private func height(of kernel: Int) -> Double {
        bandwidths.indices.reduce(1) { product, dimension in
            let (mean, deviation) = (centres[dimension][kernel], bandwidths[dimension])
            let inside = 1 - StandardNormal.cumulative(-mean / deviation) - StandardNormal.cumulative((mean - 1) / deviation)
            return product * StandardNormal.density(0) / (deviation * inside)
        }
    }

    /// p(x). Complexity: O(kernels · d), one exponential a kernel.
    package func density(at point: [Double]) -> Double {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: heights.count) { exponents in
            exponents.initialize(repeating: 0)
            for dimension in bandwidths.indices {
                // e^(−z²/2), z = (x − μ) / σ.
                let scale = 0.5.squareRoot() / bandwidths[dimension]
                centres[dimension].withUnsafeBufferPointer { centres in
                    for kernel in exponents.indices {
                        let distance = (centres[kernel] - point[dimension]) * scale
                        exponents[kernel] -= distance * distance
                    }
                }
            }
            let sum = heights.withUnsafeBufferPointer { heights in
                exponents.indices.reduce(1.0) { $0 + heights[$1] * exponential(exponents[$1]) }
            }
            return sum / Double(kernels + 1)
        }
    }

    /// A point drawn from the density.
    package func draw(from random: inout SeededGenerator) -> [Double] {
        precondition(silenced == 0, "a silenced kernel would be drawn from")
        let kernel = Int.random(in: 0...kernels, using: &random)
        if kernel == kernels { return random.point(dimensions: bandwidths.count) }
        return bandwidths.indices.map { random.truncatedNormal(mean: centres[$0][kernel], deviation: bandwidths[$0]) }
    }
}
