import AttentionCore
import AttentionKernels

/// The row-wise optimum: how few keys a row needs for a share α of its mass.
///
/// SD(α) = 1 − Σ_i k_i(α) / (causal pairs), where k_i(α) is the length of the shortest prefix of row i's descending
/// probabilities that sums to at least α of the row. The largest share of pairs any mask could drop with CRA ≥ α.
struct SparsityCounter {
    /// A bucket holds the probabilities whose top bits are the same, 16 buckets an octave: only those at a threshold need sorting.
    private static let shift: UInt32 = 19
    private static let bucketsAnOctave = 1 << (UInt32(Float.significandBitCount) - shift)
    private static let end = Int(Float(2).bitPattern >> shift)
    /// Neighbouring probabilities often share a bucket and would wait for each other's sums: they take turns.
    private static let turns = 2

    private let rows: RowKernels
    private let alphas: [Double]
    /// Indices of `alphas`, the least first.
    private let ascending: [Int]
    /// [bucket][turn].
    private var tallies = [Tally](repeating: Tally(), count: Self.end * Self.turns)

    /// - Parameter alphas: in (0, 1], in any order.
    init(rows: RowKernels, alphas: [Double]) {
        self.rows = rows
        self.alphas = alphas
        ascending = alphas.indices.sorted { (alphas[$0], $0) < (alphas[$1], $1) }
    }

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
    /// Complexity: O(heavy keys + octaves) and a sort of one bucket for each α.
    ///
    /// - Parameters:
    ///   - heavy: the row's probabilities from `leastNeeded` up, in any order; 2²⁰ at most.
    ///   - rest: the sum of the others.
    ///   - keys: heavy ones and others.
    ///   - body: gets the index of each α with its count.
    mutating func fewestKeys(
        _ heavy: UnsafeBufferPointer<Float>, rest: Double, keys: Int, body: (_ alpha: Int, _ fewest: Int) -> Void
    ) {
        precondition(heavy.count <= Tally.most, "a tally has room for \(Tally.most) probabilities")
        let octaves = Self.bucket(leastNeeded(keys: keys)) / Self.bucketsAnOctave..<Self.end / Self.bucketsAnOctave
        let total = tally(heavy, octaves: octaves) + rest
        let thresholds = thresholds(of: total, octaves: octaves)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: heavy.count + RowKernels.collectSlack) { room in
            for (rank, alpha) in ascending.enumerated() {
                guard rank < thresholds.count else {
                    body(alpha, keys)
                    continue
                }
                let threshold = thresholds[rank]
                let count = rows.collect(
                    heavy, from: Self.least(bucket: threshold.bucket), below: Self.least(bucket: threshold.bucket + 1),
                    into: room.baseAddress!)
                var own = UnsafeMutableBufferPointer(rebasing: room[..<count])
                own.sort(by: >)
                var (kept, mass) = (threshold.kept, threshold.mass)
                for probability in own where mass < threshold.target {
                    kept += 1
                    mass += Double(probability)
                }
                body(alpha, kept)
            }
        }
    }

    private static func least(bucket: Int) -> Float { Float(bitPattern: UInt32(truncatingIfNeeded: bucket) << shift) }

    private static func bucket(_ probability: Float) -> Int { min(Int(probability.bitPattern >> shift), end - 1) }

    /// How many probabilities of one octave, and the sum of the bits below their exponent: together their exact sum.
    private struct Tally {
        private static let countBit = UInt64(most.trailingZeroBitCount + Float.significandBitCount)
        static let most = 1 << 20

        private var bits: UInt64 = 0

        mutating func add(_ probability: Float) { bits &+= 1 << Self.countBit | UInt64(probability.significandBitPattern) }

        static func += (sum: inout Tally, tally: Tally) { sum.bits &+= tally.bits }

        var count: Int { Int(truncatingIfNeeded: bits >> Self.countBit) }

        func mass(octave: Int) -> Double {
            let least = SparsityCounter.least(bucket: octave * bucketsAnOctave)
            let unit = Double(Float(bitPattern: least.bitPattern + 1)) - Double(least)
            return Double(count) * Double(least) + Double(Int(truncatingIfNeeded: bits & (1 << Self.countBit - 1))) * unit
        }
    }

    /// Returns the sum of all probabilities.
    private mutating func tally(_ heavy: UnsafeBufferPointer<Float>, octaves: Range<Int>) -> Double {
        tallies.withUnsafeMutableBufferPointer { tallies in
            let width = Self.bucketsAnOctave * Self.turns
            tallies[octaves.lowerBound * width..<octaves.upperBound * width].update(repeating: Tally())
            var sums = (0.0, 0.0)
            for index in stride(from: 1, to: heavy.count, by: Self.turns) {
                let pair = (heavy[index - 1], heavy[index])
                tallies[Self.bucket(pair.0) * Self.turns].add(pair.0)
                tallies[Self.bucket(pair.1) * Self.turns + 1].add(pair.1)
                sums.0 += Double(pair.0)
                sums.1 += Double(pair.1)
            }
            if heavy.count % Self.turns == 1, let last = heavy.last {
                tallies[Self.bucket(last) * Self.turns].add(last)
                sums.0 += Double(last)
            }
            return sums.0 + sums.1
        }
    }

    /// The bucket in which a target is reached, and what stands before it.
    private struct Threshold {
        let bucket, kept: Int
        let mass, target: Double
    }

    /// For the α in ascending order, up to the last that all buckets together reach: rounding may keep them below it.
    private func thresholds(of total: Double, octaves: Range<Int>) -> [Threshold] {
        let targets = ascending.map { alphas[$0] * total }
        var found: [Threshold] = []
        var (kept, mass) = (0, 0.0)
        for octave in octaves.reversed() where found.count < targets.count {
            let buckets = octave * Self.bucketsAnOctave..<(octave + 1) * Self.bucketsAnOctave
            let all = tally(of: buckets)
            let through = mass + all.mass(octave: octave)
            if through >= targets[found.count] {
                var (keptBefore, massBefore) = (kept, mass)
                for bucket in buckets.reversed() {
                    let own = tally(of: bucket..<bucket + 1)
                    // The last bucket reaches what the octave does, however its parts round.
                    let reached = bucket == buckets.lowerBound ? through : massBefore + own.mass(octave: octave)
                    while found.count < targets.count && reached >= targets[found.count] {
                        found.append(Threshold(bucket: bucket, kept: keptBefore, mass: massBefore, target: targets[found.count]))
                    }
                    keptBefore += own.count
                    massBefore = reached
                }
            }
            kept += all.count
            mass = through
        }
        return found
    }

    private func tally(of buckets: Range<Int>) -> Tally {
        tallies.withUnsafeBufferPointer { tallies in
            var sum = Tally()
            for index in buckets.lowerBound * Self.turns..<buckets.upperBound * Self.turns { sum += tallies[index] }
            return sum
        }
    }
}
