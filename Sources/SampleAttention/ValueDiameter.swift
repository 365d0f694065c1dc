import AttentionCore
import AttentionKernels

/// An upper bound of D = max_{j,k} ‖V_j − V_k‖₁ over one head's value rows, for error bounds of the form (1 − r) · D.
///
/// The smallest of 2 · max_j ‖V_j − c‖₁ for c the origin, the mean and the middle of the rows' box, and of the sum of the
/// box's sides, Σ_k (max_j V_jk − min_j V_jk). Never below D, and at most 2 · max_j ‖V_j‖₁.
package enum ValueDiameter {
    private typealias Lanes = SIMD8<Float>

    /// One bound a key-value head.
    ///
    /// Shapes: value [heads][tokens][d]. Complexity: O(tokens · d) a head; heads run in parallel.
    package static func upperBounds(_ value: HeadTensor, pool: WorkerPool) -> [Double] {
        var bounds = [Double](repeating: 0, count: value.heads)
        bounds.withUnsafeMutableBufferPointer { all in
            let target = SharedPointer(all.baseAddress!)
            pool.run(value.heads) { _, head in target.base[head] = upperBound(value.head(head)) }
        }
        return bounds
    }

    private static func upperBound(_ value: HeadTensor) -> Double {
        let vectors = (value.dimension + Lanes.scalarCount - 1) / Lanes.scalarCount
        var low = (0..<vectors).map { lanes($0, of: value, token: 0) }
        var high = low
        var sum = [Lanes](repeating: .zero, count: vectors)
        for token in 0..<value.tokens {
            for vector in 0..<vectors {
                let row = lanes(vector, of: value, token: token)
                low[vector].replace(with: row, where: row .< low[vector])
                high[vector].replace(with: row, where: row .> high[vector])
                sum[vector] += row
            }
        }
        // Any centre gives a bound, so rounding in it does no harm.
        let origin = [Lanes](repeating: .zero, count: vectors)
        let mean = sum.map { $0 / Float(value.tokens) }
        let middle = zip(low, high).map { $0 / 2 + $1 / 2 }
        let radius = [origin, mean, middle].map { largestDistance(value, from: $0, vectors: vectors) }.min()!
        let sides = zip(low, high).reduce(Float(0)) { $0 + ($1.1 - $1.0).sum() }
        // Sums of d floats are below the true ones by at most that share.
        return Double(min(2 * radius, sides)) * (1 + Double(value.dimension) * Double(Float.ulpOfOne))
    }

    private static func largestDistance(_ value: HeadTensor, from centre: [Lanes], vectors: Int) -> Float {
        centre.withUnsafeBufferPointer { centre in
            var largest: Float = 0
            for token in 0..<value.tokens {
                var distance = Lanes.zero
                for vector in 0..<vectors {
                    distance += magnitude(lanes(vector, of: value, token: token) - centre[vector])
                }
                largest = max(largest, distance.sum())
            }
            return largest
        }
    }

    /// |x| by clearing the signs; the standard library's pointwise maximum calls a function for each number.
    @inline(__always)
    private static func magnitude(_ lanes: Lanes) -> Lanes {
        unsafeBitCast(unsafeBitCast(lanes, to: SIMD8<UInt32>.self) & 0x7FFF_FFFF, to: Lanes.self)
    }

    /// Eight values of a row; zeros stand where the row has ended.
    @inline(__always)
    private static func lanes(_ vector: Int, of value: HeadTensor, token: Int) -> Lanes {
        let first = vector * Lanes.scalarCount
        let row = value.row(head: 0, token: token) + first
        if first + Lanes.scalarCount <= value.dimension { return UnsafeRawPointer(row).loadUnaligned(as: Lanes.self) }
        var lanes = Lanes.zero
        for index in 0..<(value.dimension - first) { lanes[index] = row[index] }
        return lanes
    }
}
