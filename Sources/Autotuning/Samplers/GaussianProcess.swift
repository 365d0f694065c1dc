import LinearAlgebra

/// A Gaussian process of zero mean on the unit cube, up to the scale of its values, which it learns from them.
///
/// The covariance of two points is s² (k(r) + η [same trial]), with the Matérn 5/2 correlation
///
///     k(r) = (1 + √5 r + 5 r² / 3) e^(−√5 r),   r² = Σ_d ((x_d − y_d) / ℓ_d)²
///
/// so that its functions have two derivatives. Each coordinate has a length scale ℓ_d of its own: one that does not matter gets a
/// long one (automatic relevance determination).
///
/// Source: Rasmussen and Williams (2006), 2.2 and 4.2.
package struct GaussianProcess: Sendable {
    /// What the marginal likelihood decides.
    package struct Hyperparameters: Sendable, Hashable {
        /// ℓ, by coordinate.
        package var lengthScales: [Double]
        /// η: the variance of a value seen again, relative to s².
        package var noise: Double

        /// Both above 0.
        package init(lengthScales: [Double], noise: Double) {
            self.lengthScales = lengthScales
            self.noise = noise
        }
    }

    /// Fixed: others make another process.
    package let hyperparameters: Hyperparameters
    /// [dimension][point], divided by ℓ_d: loops run over points.
    private var coordinates: [[Double]]
    /// Of the correlations, with η on the diagonal.
    package private(set) var factor: Cholesky

    /// A process of some points. Complexity: O(points³).
    package init(_ hyperparameters: Hyperparameters, points: [[Double]] = []) {
        self.hyperparameters = hyperparameters
        coordinates = hyperparameters.lengthScales.indices.map { dimension in
            points.map { $0[dimension] / hyperparameters.lengthScales[dimension] }
        }
        factor = Cholesky()
        if let whole = Cholesky(correlationMatrix(of: points), order: points.count) {
            factor = whole
        } else {
            // Hardly positive definite: row by row every pivot can be kept above zero.
            for (index, point) in points.enumerated() { appendRow(of: point, before: index) }
        }
    }

    /// Lower triangle, row-major; the rest is 0.
    private func correlationMatrix(of points: [[Double]]) -> [Double] {
        var matrix = [Double](repeating: 0, count: points.count * points.count)
        matrix.withUnsafeMutableBufferPointer { matrix in
            for (row, point) in points.enumerated() {
                let start = row * points.count
                correlate(point, into: UnsafeMutableBufferPointer(rebasing: matrix[start..<start + row]))
                matrix[start + row] = 1 + hyperparameters.noise
            }
        }
        return matrix
    }

    /// Points.
    package var count: Int { factor.order }

    /// One more point. Complexity: O(points²).
    package mutating func append(_ point: [Double]) {
        appendRow(of: point, before: count)
        for dimension in coordinates.indices {
            coordinates[dimension].append(point[dimension] / hyperparameters.lengthScales[dimension])
        }
    }

    private mutating func appendRow(of point: [Double], before index: Int) {
        var row = [Double](repeating: 0, count: index)
        row.withUnsafeMutableBufferPointer { correlate(point, into: $0) }
        factor.append(row: row, diagonal: 1 + hyperparameters.noise, leastPivot: hyperparameters.noise)
    }

    /// Forgets the last points.
    package mutating func truncate(to count: Int) {
        factor.truncate(to: count)
        for dimension in coordinates.indices { coordinates[dimension].removeLast(coordinates[dimension].count - count) }
    }

    /// k of a point with the first points of the process, as many as there is room for. Complexity: O(room · d).
    private func correlate(_ point: [Double], into correlations: UnsafeMutableBufferPointer<Double>) {
        correlations.update(repeating: 0)
        for dimension in coordinates.indices {
            let own = point[dimension] / hyperparameters.lengthScales[dimension]
            coordinates[dimension].withUnsafeBufferPointer { others in
                for index in correlations.indices {
                    let distance = others[index] - own
                    correlations[index] += distance * distance
                }
            }
        }
        for index in correlations.indices {
            let r = (5 * correlations[index]).squareRoot()
            correlations[index] = (1 + r + r * r / 3) * exponential(-r)
        }
    }
}

extension GaussianProcess {
    /// What is known of one function from its values at the first points of the process.
    package struct Posterior {
        /// K⁻¹ y.
        package let weights: [Double]
        /// s² = yᵀ K⁻¹ y / n, the most likely one.
        package let scale: Double
    }

    /// Learns a function.
    ///
    /// - Parameter values: at all points. Complexity: O(points²).
    package func posterior(of values: [Double]) -> Posterior {
        let weights = factor.solve(values)
        let scale = zip(values, weights).reduce(0) { $0 + $1.0 * $1.1 } / Double(max(1, values.count))
        // Equal values say nothing of a scale; any will do to tell points apart.
        return Posterior(weights: weights, scale: max(scale, 1e-12))
    }

    /// Mean and deviation of the function at some points: kᵀ K⁻¹ y and s √(1 − kᵀ K⁻¹ k).
    ///
    /// Points appended since `posterior` narrow the deviation and leave the mean: as if their values had been the expected ones.
    /// Complexity: O(points²) each, as one triangular solve for all.
    package func predict(_ candidates: [[Double]], from posterior: Posterior) -> [(mean: Double, deviation: Double)] {
        var rows = [Double](repeating: 0, count: candidates.count * count)
        var means: [Double] = []
        rows.withUnsafeMutableBufferPointer { rows in
            for (index, candidate) in candidates.enumerated() {
                let row = UnsafeMutableBufferPointer(rebasing: rows[index * count..<(index + 1) * count])
                correlate(candidate, into: row)
                means.append(posterior.weights.indices.reduce(0) { $0 + row[$1] * posterior.weights[$1] })
            }
        }
        factor.solveLower(&rows, rows: candidates.count)
        return means.enumerated().map { index, mean in
            let explained = rows[index * count..<(index + 1) * count].reduce(0) { $0 + $1 * $1 }
            return (mean, (posterior.scale * max(1 - explained, 1e-12)).squareRoot())
        }
    }
}
