import AttentionCore
import Parallelism

/// The size of one head's value rows as bounds need it: R = max_j ‖V_j‖₁, and an upper bound of D = max_{j,k} ‖V_j − V_k‖₁ for error
/// bounds of the form (1 − r) · D. Reads V as it lies in memory; `ErrorBounds.ValueExtent` is the same in double precision.
///
/// The bound of D is the smallest of 2 · max_j ‖V_j − c‖₁ for c the origin, the mean and the middle of the rows' box, and of the sum of the
/// box's sides, Σ_k (max_j V_jk − min_j V_jk). Never below D, and at most 2 · max_j ‖V_j‖₁.
package enum ValueDiameter {
    private typealias Lanes = SIMD8<Float>

    /// R and the bound of D, neither below the true one, and R above it by rounding alone; neither finite where a value is not.
    package struct Bounds: Sendable {
        package let radius, diameter: Double
    }

    /// One bound of D a key-value head. The value of a sink, where query heads have one, is the origin.
    ///
    /// Complexity: O(tokens · d) a head; heads run in parallel.
    package static func upperBounds(_ inputs: LayerInputs, pool: WorkerPool) -> [Double] { bounds(inputs, pool: pool).map(\.diameter) }

    /// R and the bound of D of each key-value head; as `upperBounds`.
    package static func bounds(_ inputs: LayerInputs, pool: WorkerPool) -> [Bounds] {
        let hasSinks = inputs.shape.scores.sinks != nil
        return pool.map(inputs.value.heads) {
            let own = bounds(inputs.value.head($0))
            return hasSinks ? Bounds(radius: own.radius, diameter: max(own.diameter, own.radius)) : own
        }
    }

    private static func bounds(_ value: HeadTensor) -> Bounds {
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
        let distances = [origin, mean, middle].map { largestDistance(value, from: $0, vectors: vectors) }
        let sides = zip(low, high).reduce(Float(0)) { $0 + ($1.1 - $1.0).sum() }
        // Sums of d floats are below the true ones by at most that share.
        let rounding = 1 + Double(value.dimension) * Double(Float.ulpOfOne)
        return Bounds(radius: Double(distances[0]) * rounding, diameter: Double(.smaller(2 * distances.least()!, sides)) * rounding)
    }

    /// The largest L1 norm of a row of one head, in FP32; not finite where a number of the head is not, or the norm is beyond FP32.
    package static func largestNorm(_ head: HeadTensor) -> Float {
        let vectors = (head.dimension + Lanes.scalarCount - 1) / Lanes.scalarCount
        return largestDistance(head, from: Array(repeating: .zero, count: vectors), vectors: vectors)
    }

    private static func largestDistance(_ value: HeadTensor, from centre: [Lanes], vectors: Int) -> Float {
        centre.withUnsafeBufferPointer { centre in
            var largest: Float = 0
            for token in 0..<value.tokens {
                var distance = Lanes.zero
                for vector in 0..<vectors {
                    distance += magnitude(lanes(vector, of: value, token: token) - centre[vector])
                }
                largest = .larger(largest, distance.sum())
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
