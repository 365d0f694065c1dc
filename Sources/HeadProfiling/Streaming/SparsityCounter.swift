import AttentionCore

/// The row-wise optimum: how few keys a row needs for a share α of its mass.
///
/// SD(α) = 1 − Σ_i k_i(α) / (causal pairs), where k_i(α) is the length of the shortest prefix of row i's descending
/// probabilities that sums to at least α of the row. The largest share of pairs any mask could drop with CRA ≥ α.
struct SparsityCounter {
    /// Buckets of the float's top bits: eight an octave, so that only the bucket at the threshold needs sorting.
    private static let shift: UInt32 = 20
    private static let bucketCount = Int(Float(2).bitPattern >> shift)

    private let alphas: [Double]
    private var counts = [Int32](repeating: 0, count: Self.bucketCount)
    private var masses = [Double](repeating: 0, count: Self.bucketCount)
    /// Buckets that hold a threshold, and their probabilities.
    private var isWanted = [Bool](repeating: false, count: Self.bucketCount)
    private var wanted: [Float] = []

    /// - Parameter alphas: in (0, 1], in any order.
    init(alphas: [Double]) { self.alphas = alphas }

    /// A probability that no k_i reaches down to, in a row of so many keys whose sum is 1 up to FP32's rounding; positive.
    ///
    /// All probabilities below (1 − α) / keys hold less than 1 − α together, so the others reach α.
    func leastNeeded(keys: Int) -> Float {
        let margin = 0.999
        return max(.leastNonzeroMagnitude, Float(margin * (1 - (alphas.max() ?? 1)) / Double(keys)))
    }

    /// The least number of keys that hold each α of the row's own sum.
    ///
    /// Exact up to the rounding of a double-precision sum. A row whose sum stays below α by rounding needs all its keys.
    /// Complexity: O(heavy keys) and a sort of one bucket for each α.
    ///
    /// - Parameters:
    ///   - heavy: the row's probabilities from `leastNeeded` up, in any order.
    ///   - rest: the sum of the others.
    ///   - keys: heavy ones and others.
    mutating func fewestKeys(_ heavy: UnsafeBufferPointer<Float>, rest: Double, keys: Int) -> [Int] {
        count(heavy)
        let total = masses.withUnsafeBufferPointer { masses in
            // Many sums at once: one would wait for itself at every bucket.
            var sums = SIMD8<Double>()
            for bucket in Swift.stride(from: 0, to: masses.count, by: 8) {
                for lane in 0..<min(8, masses.count - bucket) { sums[lane] += masses[bucket + lane] }
            }
            return sums.sum() + rest
        }
        let thresholds = alphas.map { threshold(reaching: $0 * total) }
        for case let threshold? in thresholds { isWanted[threshold.bucket] = true }
        wanted.removeAll(keepingCapacity: true)
        isWanted.withUnsafeBufferPointer { isWanted in
            for probability in heavy where isWanted[Self.bucket(probability)] { wanted.append(probability) }
        }
        for case let threshold? in thresholds { isWanted[threshold.bucket] = false }
        wanted.sort(by: >)
        return thresholds.map { threshold in
            guard let threshold else { return keys }
            var (kept, mass) = (threshold.kept, threshold.mass)
            for probability in wanted where mass < threshold.target && Self.bucket(probability) <= threshold.bucket {
                kept += 1
                mass += Double(probability)
            }
            return kept
        }
    }

    private static func bucket(_ probability: Float) -> Int { min(Int(probability.bitPattern >> shift), bucketCount - 1) }

    private mutating func count(_ heavy: UnsafeBufferPointer<Float>) {
        counts.withUnsafeMutableBufferPointer { counts in
            masses.withUnsafeMutableBufferPointer { masses in
                counts.update(repeating: 0)
                masses.update(repeating: 0)
                for probability in heavy {
                    let bucket = Self.bucket(probability)
                    counts[bucket] &+= 1
                    masses[bucket] += Double(probability)
                }
            }
        }
    }

    /// The bucket in which a target is reached, and what stands before it.
    private struct Threshold {
        let bucket, kept: Int
        let mass, target: Double
    }

    /// Nil when rounding keeps all buckets together below the target.
    private func threshold(reaching target: Double) -> Threshold? {
        var kept = 0
        var mass = 0.0
        for bucket in stride(from: Self.bucketCount - 1, through: 0, by: -1) where counts[bucket] > 0 {
            if mass + masses[bucket] >= target { return Threshold(bucket: bucket, kept: kept, mass: mass, target: target) }
            kept += Int(counts[bucket])
            mass += masses[bucket]
        }
        return nil
    }
}
