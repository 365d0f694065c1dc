import AttentionCore

/// The row-wise optimum: how few keys a row needs for a share α of its mass.
///
/// SD(α) = 1 − Σ_i k_i(α) / (causal pairs), where k_i(α) is the length of the shortest prefix of row i's descending
/// probabilities that sums to at least α of the row. The largest share of pairs any mask could drop with CRA ≥ α.
struct SparsityCounter {
    /// Buckets of the float's top bits: eight an octave, so that only the bucket at the threshold needs sorting.
    private static let shift: UInt32 = 20
    private static let bucketCount = Int(Float(2).bitPattern >> shift)

    private var counts = [Int32](repeating: 0, count: Self.bucketCount)
    private var masses = [Double](repeating: 0, count: Self.bucketCount)
    private var threshold: [Float] = []

    /// The least number of keys that hold each α of the row's own sum (which FP32 leaves near 1); `alphas` in any order.
    ///
    /// Exact up to the rounding of a double-precision sum. A row whose sum stays below α by rounding needs all its keys.
    /// Complexity: O(keys) and a sort of one bucket for each α.
    mutating func fewestKeys(_ row: UnsafeBufferPointer<Float>, alphas: [Double]) -> [Int] {
        counts.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
        masses.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
        counts.withUnsafeMutableBufferPointer { counts in
            masses.withUnsafeMutableBufferPointer { masses in
                for probability in row {
                    let bucket = min(Int(probability.bitPattern >> Self.shift), Self.bucketCount - 1)
                    counts[bucket] &+= 1
                    masses[bucket] += Double(probability)
                }
            }
        }
        let total = masses.reduce(0, +)
        return alphas.map { fewestKeys(row, target: $0 * total) }
    }

    private mutating func fewestKeys(_ row: UnsafeBufferPointer<Float>, target: Double) -> Int {
        var kept = 0
        var mass = 0.0
        for bucket in stride(from: Self.bucketCount - 1, through: 0, by: -1) where counts[bucket] > 0 {
            if mass + masses[bucket] < target {
                kept += Int(counts[bucket])
                mass += masses[bucket]
                continue
            }
            threshold.removeAll(keepingCapacity: true)
            for probability in row where Int(probability.bitPattern >> Self.shift) == bucket { threshold.append(probability) }
            threshold.sort(by: >)
            for probability in threshold {
                kept += 1
                mass += Double(probability)
                if mass >= target { return kept }
            }
        }
        return kept
    }
}
